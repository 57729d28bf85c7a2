import Foundation
import HostSystem
import Testing

extension GuestTests {
    /// Disks that a lab brings and that do not fit: the lab `Labs/foreign-disk` has those that do.
    @Suite struct ForeignDiskTests {
        private func disks(_ names: String..., for vmlab: VMLab) async throws {
            try await Tool.run(
                "\(VMLab.root)/Labs/foreign-disk/make-disks", [vmlab.path] + names, package: "apt"
            ).checked("the disks could not be made")
        }

        @Test(
            "a disk that is to stay as it is, or forgets what is written to it, is cloned from behind its login",
            .timeLimit(.minutes(10)))
        func withoutAgent() async throws {
            try await VMLab.with { vmlab in
                try await disks("small.raw", "memory.raw", for: vmlab)
                let before = try await Tool.run("sha256sum", ["\(vmlab.path)/small.raw"]).text
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: without
                    images:
                      untouched: {os: linux, disk: small.raw, memory: 256MiB, agent: false, console: {user: root, password: secret}}
                      forgetful: {os: linux, disk: memory.raw, memory: 256MiB, console: {user: root, password: secret}}
                    guests:
                      u: {image: untouched, count: 2, boot: clone}
                      f: {image: forgetful, boot: clone}
                    tasks:
                      - {name: name, on: [u, f], run: "hostname; [ ! -d /usr/lib/vmlab ]"}
                      - {name: files, on: [u, f], put: {./lab.yaml: /root/l}, run: 'sha256sum < /root/l; printf ''a\\tb''; echo no >&2; exit 3', expect: {exit: 3, stderr: '^no$'}}
                    """)
                let run = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(run.status == 0, "\(run.everything)")
                for guest in ["u-1", "u-2", "f"] {
                    #expect(try vmlab.text("out/tasks/name/\(guest)/output").hasPrefix("\(guest)\n"))
                }
                #expect(
                    run.out.contains("its root file system (rootfs) forgets what is written to it"), "\(run.everything)"
                )
                #expect(run.out.contains("image untouched: used as it is, without vmlab's agent"), "\(run.everything)")
                #expect(try await Tool.run("sha256sum", ["\(vmlab.path)/small.raw"]).text == before)
            }
        }

        @Test("what keeps a disk from booting or from being logged in to is told", .timeLimit(.minutes(10)))
        func refused() async throws {
            try await VMLab.with { vmlab in
                try await disks("no-loader.raw", "small.qcow2", for: vmlab)
                func lab(_ disk: String, _ console: String) throws {
                    try vmlab.write(
                        "lab.yaml",
                        """
                        lab: refused
                        images: {own: {os: linux, disk: \(disk), memory: 256MiB, console: \(console)}}
                        guests: {g: {image: own}}
                        tasks: [{name: t, run: 'true'}]
                        """)
                }
                try lab("no-loader.raw", "{user: root, password: secret}")
                let blank = try await vmlab("run", "lab.yaml", "--out", "blank")
                #expect(blank.status == 3 && blank.out.contains("there is no bootable system"), "\(blank.everything)")
                try lab("small.qcow2", "{user: root, password: wrong}")
                let locked = try await vmlab("run", "lab.yaml", "--out", "locked")
                #expect(locked.status == 3 && locked.err.contains("refused the login"), "\(locked.everything)")
                #expect(locked.err.contains("Login incorrect"), "\(locked.everything)")
            }
        }
    }
}
