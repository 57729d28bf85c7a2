import Diagnostics
import Glibc
import LabTestSupport
import Synchronization
import Testing

@testable import HostSystem

@Suite("Child processes")
struct ChildProcessTests {
    private func shell(
        _ script: String, output: ChildConfiguration.Output = .ring(1 << 20), inherited: [Int32: Int32] = [:],
        environment: [String: String]? = nil, directory: String? = nil
    ) -> ChildConfiguration {
        ChildConfiguration(
            executable: "/bin/sh", arguments: ["-c", script], environment: environment, workingDirectory: directory,
            standardOutput: output, inherited: inherited)
    }

    @Test("Status, output, environment and folder arrive", .timeLimit(.minutes(1)))
    func basics() async throws {
        let child = try await ChildProcess.spawn(
            shell(
                "pwd; echo \"$A\"; echo oops >&2; exit 7", environment: ["A": "b c", "PATH": "/bin"], directory: "/usr")
        )
        #expect(try await child.wait() == .exited(7))
        #expect(String(decoding: child.standardOutput, as: UTF8.self) == "/usr\nb c\n")
        #expect(child.standardError == ["oops"])
        #expect(child.startTime > 0)
    }

    @Test("It has a session of its own, no inherited signal mask and no stray descriptors", .timeLimit(.minutes(1)))
    func isolation() async throws {
        let stray = open("/dev/null", O_RDONLY)
        defer { close(stray) }
        let child = try await ChildProcess.spawn(
            shell("ls /proc/self/fd; cut -d' ' -f6 /proc/$$/stat; grep -E 'SigBlk|SigIgn' /proc/self/status; echo $$"))
        #expect(try await child.wait() == .exited(0))
        let lines = String(decoding: child.standardOutput, as: UTF8.self).split(separator: "\n").map(String.init)
        // ls itself opens 3 to read the folder.
        #expect(lines.prefix(4) == ["0", "1", "2", "3"])
        #expect(lines.dropFirst(4).first == String(child.processID), "session id")
        #expect(lines.contains("SigBlk:\t0000000000000000"))
        #expect(lines.contains("SigIgn:\t0000000000000000"))
    }

    @Test("A child has large pages, where the host does, unless it is to do without; so have those after it, and we")
    func pages() async throws {
        let ours = SmallFile.text("/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix("THP_enabled") }
        for areSmall in [false, true, false] {
            let child = try await ChildProcess.spawn(
                ChildConfiguration(
                    executable: "/bin/grep", arguments: ["THP_enabled", "/proc/self/status"],
                    standardOutput: .ring(1000), hasSmallPages: areSmall))
            #expect(try await child.wait() == .exited(0))
            let theirs = String(decoding: child.standardOutput, as: UTF8.self)
            #expect(theirs == (areSmall ? "THP_enabled:\t0\n" : "\(ours ?? "")\n"))
        }
    }

    @Test("Inherited descriptors get their numbers, also when these cross", .timeLimit(.minutes(1)))
    func inheritedDescriptors() async throws {
        try await withTemporaryFolder { folder in
            let first = open(folder + "/a", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            let second = open(folder + "/b", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            defer {
                close(first)
                close(second)
            }
            let crossed = [first: second, second: first]
            let child = try await ChildProcess.spawn(
                ChildConfiguration(
                    executable: "/bin/bash", arguments: ["-c", "echo to-b >&\(first); echo to-a >&\(second)"],
                    inherited: crossed))
            #expect(try await child.wait() == .exited(0))
            #expect(SmallFile.text(folder + "/a") == "to-a\n")
            #expect(SmallFile.text(folder + "/b") == "to-b\n")
        }
    }

    @Test("A program that cannot be run is named, with the call")
    func execFails() async throws {
        let error = await #expect(throws: SystemCallError.self) {
            try await ChildProcess.spawn(ChildConfiguration(executable: "/nowhere/program"))
        }
        #expect(error == SystemCallError("execve", errno: ENOENT, "/nowhere/program"))
        let folder = await #expect(throws: SystemCallError.self) {
            try await ChildProcess.spawn(ChildConfiguration(executable: "/bin/true", workingDirectory: "/nowhere"))
        }
        #expect(folder == SystemCallError("chdir", errno: ENOENT, "/nowhere"))
    }

    @Test("Killed, it says so; killing it again harms nobody", .timeLimit(.minutes(1)))
    func killed() async throws {
        let child = try await ChildProcess.spawn(ChildConfiguration(executable: "/bin/sleep", arguments: ["1000"]))
        #expect(child.exitStatus == nil)
        #expect(ProcessTable().isAlive(child.processID, startTime: child.startTime))
        child.kill()
        #expect(try await child.wait() == .signalled(SIGKILL))
        child.kill()
        child.killGroup()
        #expect(await child.ended().description == "killed by SIGKILL")
        #expect(ProcessTable().startTime(of: child.processID) != child.startTime, "reaped")
    }

    @Test(
        "S13: a child of an untrusted guest has namespaces of its own where the host allows it, and says whether",
        .timeLimit(.minutes(1)))
    func namespaces() async throws {
        let names = ["net", "ipc", "uts"]
        let look = "id -u; for name in \(names.joined(separator: " ")); do readlink /proc/self/ns/$name; done"
        func lines(isUnprivileged: Bool) async throws -> (hasOwn: Bool, lines: [Substring]) {
            let child = try await ChildProcess.spawn(
                ChildConfiguration(
                    executable: "/bin/sh", arguments: ["-c", look], standardOutput: .ring(4096),
                    isUnprivileged: isUnprivileged))
            #expect(try await child.wait() == .exited(0), "\(child.standardError)")
            return (
                child.hasOwnNamespaces, String(decoding: child.standardOutput, as: UTF8.self).split(separator: "\n")
            )
        }
        let (plain, confined) = (try await lines(isUnprivileged: false), try await lines(isUnprivileged: true))
        #expect(!plain.hasOwn && plain.lines.count == 4 && confined.lines.count == 4)
        #expect(confined.lines[0] == "\(geteuid())")
        for (own, host) in zip(confined.lines, plain.lines).dropFirst() { #expect((own != host) == confined.hasOwn) }
        // Root may always make them, where it is root in full.
        if SmallFile.text("/proc/self/status")?.contains("CapEff:\t000001ff") == true { #expect(confined.hasOwn) }
    }

    @Test("The ring keeps the end of a long output", .timeLimit(.minutes(1)))
    func ring() async throws {
        let child = try await ChildProcess.spawn(
            shell("seq 1 100000 >&2; echo last >&2", output: .null))
        #expect(try await child.wait() == .exited(0))
        #expect(child.standardError.last == "last")
        #expect(child.standardError.joined(separator: "\n").utf8.count < 64 * 1024)
    }

    @Test("A grandchild that keeps the pipes open does not delay the end", .timeLimit(.minutes(1)))
    func grandchild() async throws {
        let child = try await ChildProcess.spawn(shell("sleep 1000 & echo started"))
        #expect(try await child.wait() == .exited(0))
        #expect(child.standardOutput == Array("started\n".utf8))
        _ = Glibc.kill(-child.processID, SIGKILL)
    }

    @Test("A cancelled wait ends at once; the child is still reaped", .timeLimit(.minutes(1)))
    func cancelledWait() async throws {
        let child = try await ChildProcess.spawn(ChildConfiguration(executable: "/bin/sleep", arguments: ["1000"]))
        let waiting = Task { try await child.wait() }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        child.kill()
        #expect(await child.ended() == .signalled(SIGKILL))
    }

    @Test("A hundred at once", .timeLimit(.minutes(1)))
    func many() async throws {
        try await withThrowingTaskGroup(of: ChildStatus.self) { group in
            for index in 0..<100 {
                let configuration = shell("exit \(index)", output: .null)
                group.addTask { try await ChildProcess.spawn(configuration).wait() }
            }
            var seen: Set<ChildStatus> = []
            for try await status in group { seen.insert(status) }
            #expect(seen.count == 100)
        }
    }
}

@Suite("Host tools")
struct ToolTests {
    @Test("S15: output, error lines, status, and the reason that a tool gives", .timeLimit(.minutes(1)))
    func run() async throws {
        let lines = Mutex<[String]>([])
        let result = try await Tool.run("sh", ["-c", "echo one; printf two; echo three >&2; exit 4"]) { line in
            lines.withLock { $0.append(line) }
        }
        #expect(result.text == "one\ntwo")
        #expect(result.errors == ["three"])
        #expect(result.status == .exited(4))
        #expect(lines.withLock { Set($0) } == ["one", "two", "three"])
        let error = #expect(throws: Diagnostic.self) { try result.checked("cannot count") }
        #expect(error?.cause == "sh: exit status 4: three")
        #expect(error?.notes == ["three"])
    }

    @Test("Cancellation kills the tool and its children", .timeLimit(.minutes(1)))
    func cancellation() async throws {
        let running = Task { try await Tool.run("sh", ["-c", "sleep 1000 & sleep 1000"]) }
        await Task.yield()
        running.cancel()
        await #expect(throws: CancellationError.self) { try await running.value }
    }

    @Test("All missing programs are told at once, with their packages")
    func missing() throws {
        let error = #expect(throws: Diagnostic.self) {
            try Tool.require(["no-such-a": "pkg-a", "sh": "dash", "no-such-b": "pkg-b"])
        }
        #expect(error?.message == "these programs are missing: no-such-a, no-such-b")
        #expect(error?.remedy == "on Debian: `apt-get install pkg-a pkg-b`")
    }

    @Test("Output beyond the limit is an error, not memory without end", .timeLimit(.minutes(1)))
    func limit() async throws {
        await #expect(throws: Diagnostic.self) { try await Tool.run("yes", outputLimit: 1 << 20) }
    }

    @Test(
        "S13: a child of an untrusted guest has no capabilities, no way to gain any, and only the environment it is given"
    )
    func unprivileged() async throws {
        let child = try await ChildProcess.spawn(
            ChildConfiguration(
                executable: "/bin/sh",
                arguments: [
                    "-c", "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; ulimit -c; env; echo end $PPID",
                ],
                environment: ["A": "b"], standardOutput: .ring(64 << 10), isUnprivileged: true))
        #expect(try await child.wait() == .exited(0))
        let lines = String(decoding: child.standardOutput, as: UTF8.self).split(separator: "\n").map(String.init)
        let capabilities = lines.filter { $0.hasPrefix("Cap") }
        #expect(capabilities.count == 5)
        #expect(
            capabilities.filter { geteuid() == 0 || !$0.hasPrefix("CapBnd") }
                .allSatisfy { $0.hasSuffix("\t0000000000000000") })
        #expect(lines.contains("NoNewPrivs:\t1") && lines.contains("0") && lines.contains("A=b"))
        #expect(!lines.contains { $0.hasPrefix("HOME=") })
        // It still dies with us: the signal was asked for after the credentials changed.
        #expect(lines.last == "end \(getpid())")
    }
}
