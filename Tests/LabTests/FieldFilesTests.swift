import Glibc
import HostSystem
import LabResults
import Testing

extension GuestTests {
    /// Files as they are met in the field.
    @Suite struct FieldFilesTests {
        @Test("A9, A13, A14, A22, N22: files of /proc, links, holes, devices and patterns, in a real guest")
        func linux() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write("tree/file", "content\n")
                symlink("tree", "\(vmlab.path)/named")
                symlink("file", "\(vmlab.path)/tree/link")
                try FileTree.makeSparseFile("\(vmlab.path)/sparse", size: 400 << 20)
                let file = try OwnedDescriptor.open("\(vmlab.path)/sparse", O_WRONLY)
                pwrite(file.number, "x", 1, 100 << 20)
                file.setModified(timespec(tv_sec: 1_700_000_000, tv_nsec: 123_456_789))
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: field
                    guests:
                      box: {image: busybox, memory: 256MiB}
                    tasks:
                      - name: kernel
                        get: [/proc/cpuinfo, /proc/kallsyms, /sys/kernel/mm/transparent_hugepage/enabled]
                      - name: sparse
                        put: {./sparse: /root/sparse}
                        run: |
                          test $(stat -c %s /root/sparse) = 419430400
                          test $(stat -c %b /root/sparse) -lt 4096
                          test "$(dd if=/root/sparse bs=1 skip=104857600 count=1 2>/dev/null)" = x
                        get: [/root/sparse]
                      - name: links
                        put:
                          ./named: {to: /root/kept}
                          ./tree: {to: /root/followed, links: follow}
                        run: test -L /root/kept/link && test ! -L /root/followed/link && cat /root/followed/link
                      - name: hostile
                        run: |
                          mkdir -p /root/out/d && cd /root/out
                          echo x > setuid && chmod 6755 setuid && chmod 7777 d
                          ln -s /proc/cpuinfo cpuinfo && ln -s ../out/setuid away && ln -s ../setuid d/stays
                          mknod disk b 8 0 && mkfifo fifo
                        get: [/root/out]
                      - name: patterns
                        run: cd /root && echo a > a.log && echo b > b.log && mkdir -p x/y && echo c > x/y/c.log
                        get: ['/root/*.log', '/root/x/**/*.log']
                      - {name: nothing, run: 'true', get: ['/root/*.none']}
                      - {name: limited, run: 'true', get: [{path: /root/sparse, limit: 100MiB}]}
                    """)
                let ended = try await vmlab("run", "lab.yaml", "--out", "out")
                let report = try vmlab.report()
                for name in ["kernel", "sparse", "links", "hostile", "patterns"] {
                    let task = try report.task(name)
                    #expect(task.outcome == .passed, "\(name): \(task.message ?? "") \(ended.everything)")
                }
                let kernel = "out/tasks/kernel/box/artifacts"
                #expect(try vmlab.text("\(kernel)/cpuinfo").contains("processor"))
                #expect(try vmlab.bytes("\(kernel)/kallsyms").count > 1 << 20)
                #expect(try vmlab.text("\(kernel)/enabled").contains("never"))

                var status = stat()
                stat("\(vmlab.path)/out/tasks/sparse/box/artifacts/sparse", &status)
                #expect(status.st_size == 400 << 20 && status.st_blocks * 512 < 1 << 20)
                #expect(status.st_mtim.tv_nsec == 123_456_789)

                #expect(try vmlab.text("out/tasks/links/box/output") == "content\n")

                let hostile = "out/tasks/hostile/box/artifacts/out"
                #expect(vmlab.files(under: hostile) == ["away", "cpuinfo", "d", "d/stays", "setuid"])
                stat("\(vmlab.path)/\(hostile)/setuid", &status)
                #expect(status.st_mode & 0o7000 == 0)
                #expect(try vmlab.text("\(hostile)/cpuinfo") == "symbolic link to `/proc/cpuinfo`\n")
                #expect(try vmlab.text("\(hostile)/d/stays") == "x\n")
                #expect(try vmlab.text("out/events.jsonl").contains("is a FIFO: left out"))

                #expect(vmlab.files(under: "out/tasks/patterns/box/artifacts") == ["a.log", "b.log", "y", "y/c.log"])
                let nothing = try report.task("nothing")
                #expect(nothing.outcome == .failed && nothing.message?.contains("no file in the guest matches") == true)
                let limited = try report.task("limited")
                #expect(limited.outcome == .failed && limited.message?.contains("more than 100MiB") == true)
            }
        }
    }
}
