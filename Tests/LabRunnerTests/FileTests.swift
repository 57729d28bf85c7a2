import Diagnostics
import Glibc
import HostSystem
import LabResults
import LabSpec
import LabTestSupport
import Quantities
import Testing

/// Files over a guest's console.
@Suite("Files over the console", .timeLimit(.minutes(1)))
struct FileTests {
    /// A lab whose guest has no exchange disk.
    private func consoleLab(_ tasks: [LabTask]) -> TestLab {
        var lab = TestLab(tasks: tasks)
        lab.image.console.announces = false
        return lab
    }

    @Test("over the console: put, run, get")
    func console() async throws {
        try await withTemporaryFolder { base in
            try FileFixtures.makeTree(base + "/tree")
            try write((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) }, to: base + "/big")
            let lab = consoleLab([
                task("t", "cmp \(base)/big \(base)/guest/big && echo same; exit 3").with {
                    $0.put = [
                        FileCopy(host: base + "/tree", guest: base + "/guest/tree"),
                        FileCopy(host: base + "/big", guest: base + "/guest/"),
                    ]
                    $0.get = [.init(base + "/guest/tree"), .init(base + "/guest/big"), .init(base + "/guest/none")]
                },
                task("after"),
            ])
            let inspect: @Sendable (TestRun) throws -> Void = { run in
                let result = try run.result("t")
                let artifacts = result.artifacts.map { run.results.absolute($0) }
                try #require(artifacts.count == 2, "\(result.message ?? "")")
                #expect(
                    try FileFixtures.listing(artifacts[0])
                        == FileFixtures.listing(base + "/tree", collected: true))
                #expect(try SmallFile.bytes(artifacts[1]) == SmallFile.bytes(base + "/big"))
            }
            let run = try await TestLab.$inspect.withValue(inspect) { try await lab.run() }
            let result = try run.result("t")
            #expect(result.outputTail == "same\n")
            #expect(result.outcome == .failed)
            #expect(result.message?.contains("exit status 3") == true)
            #expect(result.message?.contains("\(base)/guest/none could not be collected") == true)
            #expect(try run.result("after").outcome == .passed)
        }
    }

    @Test("what is missing in the guest fails a task that passed; what is missing on the host is an error")
    func missing() async throws {
        let lab = consoleLab([
            task("get").with { $0.get = ["/no/such/file"] },
            task("put").with { $0.put = [FileCopy(host: "/no/such/file", guest: "/tmp/x")] },
            task("into").with { $0.put = [FileCopy(host: "/etc/hostname", guest: "/proc/no/such")] },
            task("after"),
        ])
        let run = try await lab.run()
        #expect(try run.result("get").outcome == .failed)
        #expect(try run.result("get").message?.contains("there is no such file in the guest") == true)
        #expect(try run.result("put").outcome == .error)
        #expect(try run.result("put").message?.contains("/no/such/file") == true)
        #expect(try run.result("into").outcome == .error)
        #expect(try run.result("after").outcome == .passed)
    }

    @Test("files are collected after a timeout too")
    func afterTimeout() async throws {
        try await withTemporaryFolder { base in
            let lab = consoleLab([
                task("t", "echo partial > \(base)/log; " + sleeping).with {
                    $0.timeout = .seconds(600)
                    $0.get = [.init(base + "/log")]
                }
            ])
            let run = try await lab.run(firing: .seconds(600), after: "begun")
            #expect(try run.result("t").outcome == .timeout)
            #expect(try run.result("t").artifacts.count == 1)
        }
    }

    @Test("files of one name from two places are both kept, and a second attempt replaces the first's")
    func sameName() async throws {
        try await withTemporaryFolder { base in
            let lab = consoleLab([
                task("t", "mkdir -p \(base)/a \(base)/b; echo 1 > \(base)/a/log; echo 2 > \(base)/b/log").with {
                    $0.get = [.init(base + "/a/log"), .init(base + "/b/log")]
                }
            ])
            let inspect: @Sendable (TestRun) throws -> Void = { run in
                let texts = try run.result("t").artifacts.map { SmallFile.text(run.results.absolute($0)) }
                #expect(texts == ["1\n", "2\n"])
            }
            let run = try await TestLab.$inspect.withValue(inspect) { try await lab.run() }
            #expect(run.status == .passed)
        }
    }

    @Test("A9: files of /proc and /sys, and a log that grows, are collected with their content")
    func lyingFiles() async throws {
        try await withTemporaryFolder { base in
            let setting = "/sys/devices/system/cpu/online"
            let lab = consoleLab([
                task(
                    "t",
                    "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); done > \(base)/log; "
                        + "(while :; do echo more >> \(base)/log; done) >/dev/null 2>&1 & echo $! > \(base)/pid"
                ).with { $0.get = ["/proc/cpuinfo", "/proc/kallsyms", .init(setting), .init(base + "/log")] },
                task("end", "kill $(cat \(base)/pid)"),
            ])
            let inspect: @Sendable (TestRun) throws -> Void = { run in
                let files = try run.result("t").artifacts.map { try SmallFile.bytes(run.results.absolute($0)) }
                #expect(files.count == 4)
                #expect(String(decoding: files[0], as: UTF8.self).contains("processor"))
                let symbols = try SmallFile.bytes("/proc/kallsyms").count
                #expect(files[1].count > symbols / 2)
                #expect(files[2] == (try SmallFile.bytes(setting)))
                #expect(String(decoding: files[3], as: UTF8.self).hasPrefix("line 0\n"))
                #expect(String(decoding: files[3], as: UTF8.self).contains("line 399\n"))
            }
            let run = try await TestLab.$inspect.withValue(inspect) { try await lab.run() }
            #expect(try run.result("t").message == nil)
        }
    }

    @Test("what is named and is no file fails its task, which says why; where a pattern matches it, it is told of")
    func noFiles() async throws {
        try await withTemporaryFolder { base in
            let make = "mkfifo \(base)/fifo; mknod \(base)/null c 1 3; echo x > \(base)/file; ln -s fifo \(base)/link"
            let lab = consoleLab([
                task("make", make),
                task("device").with { $0.get = ["/dev/zero"] },
                task("fifo").with { $0.get = [.init(base + "/fifo")] },
                task("link").with { $0.get = [.init(base + "/link")] },
                task("failed", "exit 3").with { $0.get = ["/dev/zero"] },
                task("pattern").with { $0.get = [.init(base + "/*")] },
                task("folder").with { $0.get = [.init(base)] },
                task("dots").with { $0.get = [.init(base + "/../x")] },
            ])
            let run = try await lab.run()
            for (name, reason) in [("device", "it is a device"), ("fifo", "it is a FIFO"), ("link", "it is a FIFO")] {
                #expect(try run.result(name).outcome == .failed)
                #expect(try run.result(name).message?.contains("could not be collected: \(reason)") == true)
            }
            #expect(try run.result("failed").message?.contains("it is a device") == true)
            #expect(try run.result("pattern").outcome == .passed)
            #expect(try run.result("folder").outcome == .passed)
            #expect(try run.result("dots").message?.contains("the path has the step `..` (") == true)
        }
    }

    @Test("a copy of a file that keeps its reader waiting ends at the deadline, as a timeout, and the guest goes on")
    func slowFile() async throws {
        try await withTemporaryFolder { base in
            try write("x", to: base + "/slow")
            // A tar that is never done, as with a file without end.
            try FileTree.makeFolder(base + "/bin")
            try write(
                "#!/bin/sh\n[ $1 = --version ] || { : > \(base)/begun; exec sleep 1000; }\n", to: base + "/bin/tar",
                mode: 0o755)
            var lab = TestLab(
                tasks: [
                    task("out").with { $0.get = [.init(base + "/slow")] },
                    task("in").with { $0.put = [FileCopy(host: base + "/slow", guest: base + "/there")] },
                    task("after", "echo on"),
                ],
                backend: ShellBackend(shell: "env PATH=\(base)/bin:/usr/bin:/bin busybox sh"))
            lab.image.console.announces = false
            lab.timeouts.task = .seconds(600)
            let clock = ManualClock()
            lab.clock = clock
            let run = try await lab.run { _ in
                for _ in 1...2 {
                    #expect(try await eventually { unlink(base + "/begun") == 0 })
                    try await clock.fire(after: .seconds(600))
                }
            }
            #expect(try run.result("out").outcome == .timeout)
            #expect(try run.result("out").message?.contains("could not be collected before") == true)
            #expect(try run.result("out").duration < 30)
            #expect(try run.result("in").outcome == .timeout)
            #expect(try run.result("after").outputTail == "on\n")
        }
    }

    @Test("N22: a pattern collects what matches it; what matches nothing is told")
    func patterns() async throws {
        try await withTemporaryFolder { base in
            let lab = consoleLab([
                task(
                    "t",
                    "cd \(base) && mkdir -p d/e f && for n in a b d/a d/e/c f/x; do echo $n > $n.log; done; "
                        + "echo 1 > 'a[1]'; echo h > .hidden.log; echo s > \"with space.log\"; echo q > \"it's.log\""
                ).with {
                    $0.get = [
                        .init(base + "/*.log"), .init(base + "/d/**/*.log"), .init(base + "/[f]/x.l?g"),
                        .init(base + "/a[1]"),
                    ]
                },
                task("none").with { $0.get = [.init(base + "/*.txt")] },
                task("nowhere").with { $0.get = ["/no/such/folder/*"] },
            ])
            let inspect: @Sendable (TestRun) throws -> Void = { run in
                let artifacts = try run.result("t").artifacts
                let names = artifacts.map { String($0.split(separator: "/").last ?? "") }
                #expect(names == ["a.log", "b.log", "it's.log", "with space.log", "a.log-2", "e", "f", "a[1]"])
                let folder = run.results.absolute(RunDirectory.artifacts(try run.result("t").id))
                #expect(SmallFile.text(folder + "/e/c.log") == "d/e/c\n")
                #expect(SmallFile.text(folder + "/f/x.log") == "f/x\n")
            }
            let run = try await TestLab.$inspect.withValue(inspect) { try await lab.run() }
            #expect(try run.result("t").outcome == .passed)
            #expect(try run.result("none").outcome == .failed)
            #expect(try run.result("none").message?.contains("no file in the guest matches it") == true)
            #expect(try run.result("nowhere").outcome == .failed)
        }
    }

    @Test("A13: a link in the guest that is named itself stands for what it leads to")
    func namedLinks() async throws {
        try await withTemporaryFolder { base in
            try write("x", to: base + "/file")
            symlink("file", base + "/link")
            symlink("nowhere", base + "/dangling")
            let lab = consoleLab([
                task("t").with { $0.get = [.init(base + "/link")] },
                task("dangling").with { $0.get = [.init(base + "/dangling")] },
            ])
            let inspect: @Sendable (TestRun) throws -> Void = { run in
                let artifact = try #require(run.result("t").artifacts.first)
                #expect(artifact.hasSuffix("/link"))
                #expect(SmallFile.text(run.results.absolute(artifact)) == "x")
            }
            let run = try await TestLab.$inspect.withValue(inspect) { try await lab.run() }
            #expect(try run.result("t").outcome == .passed)
            #expect(try run.result("dangling").outcome == .failed)
        }
    }

    @Test("S5: a copy out of a guest has a limit, which a task can set")
    func limits() async throws {
        try await withTemporaryFolder { base in
            let lab = consoleLab([
                task("t", "dd if=/dev/zero of=\(base)/big bs=1024 count=300 2>/dev/null").with {
                    $0.get = [FileCollection(base + "/big", limit: .mebibytes(1))]
                },
                task("small").with { $0.get = [FileCollection(base + "/big", limit: ByteCount(1000))] },
            ])
            let run = try await lab.run()
            #expect(try run.result("t").outcome == .passed)
            #expect(try run.result("small").outcome == .failed)
            #expect(try run.result("small").message?.contains("more than 1000B") == true)
        }
    }

    @Test("S15: a full file system is named, with what is free and what is needed")
    func noSpace() {
        let error = SystemCallError("write", errno: ENOSPC, "x").diagnostic(
            "it failed", in: "/tmp", needing: { 400 << 20 })
        #expect(error.cause?.hasPrefix("no space left in /tmp: ") == true)
        #expect(error.cause?.hasSuffix(" MiB are free, 400 MiB are needed") == true)
    }

    @Test("what a guest sends cannot leave its folder by way of what it sent before")
    func hostileArchives() async throws {
        try await withTemporaryFolder { base in
            try FileTree.makeFolder(base + "/outside")
            try FileTree.makeFolder(base + "/evil1")
            symlink(base + "/outside", base + "/evil1/x")
            try FileTree.makeFolder(base + "/evil2/x")
            try write("owned", to: base + "/evil2/x/file")
            let lab = consoleLab([
                task("t").with { $0.get = [.init(base + "/evil1/x"), .init(base + "/evil2/x")] }
            ])
            try await lab.run()
            #expect(try FileTree.names(in: base + "/outside").isEmpty)
        }
    }
}
