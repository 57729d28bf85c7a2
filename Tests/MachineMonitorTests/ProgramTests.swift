import Diagnostics
import Glibc
import HostSystem
import JSON
import LabTestSupport
import QMP
import Testing

@testable import MachineMonitor

/// The program itself, with a freestanding guest on this host's `/dev/kvm`, whatever kind that is.
@Suite("vmlab-vmm", .requiresKVM, .serialized, .timeLimit(.minutes(2)))
struct ProgramTests {
    /// Beside the tests, where the package's programs are.
    private static let program: String? = {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer[..<max(count, 0)], as: UTF8.self)
        // Under a test runner of its own the tests are a library; then the working folder is the package's.
        let folders = [String(own[..<(own.lastIndex(of: "/") ?? own.startIndex)]), ".build/debug"]
        return folders.lazy.compactMap { Tool.find("\($0)/vmlab-vmm") }.first
    }()

    private static let python = Environment["VMLAB_TEST_PYTHON"] ?? "python3"

    /// Prints `hello` on COM1 and then echoes it, except for: `p` powers the machine off, `r` resets it, `x` writes to the
    /// panic device. Its source is at the end of this file.
    private static let guest: [UInt8] = {
        let code = """
            488d354a000000baf8030000ac84c07403eeebf8bafd030000eca80174f6baf8030000ec3c70740b3c7274113c787417eeebe1ba
            00060000b034eeebd7ba64000000b0feeeebcdba05050000b001eeebc368656c6c6f0a00
            """.utf8.filter { $0 > 0x20 }
        let bytes = stride(from: 0, to: code.count, by: 2).compactMap {
            UInt8(String(decoding: code[$0..<($0 + 2)], as: UTF8.self), radix: 16)
        }
        return KernelFile.elf(entry: 0x10_0000, segments: [(0x10_0000, bytes, 4096)])
    }()

    private func write(_ bytes: [UInt8], to path: String) throws {
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT)
        guard Glibc.write(file.number, bytes, bytes.count) == bytes.count else { throw SystemCallError("write", path) }
    }

    /// Writes a mark to the debug port, then `!` on COM1, and halts.
    private static let markingGuest = KernelFile.elf(
        entry: 0x10_0000,
        segments: [
            (
                0x10_0000,
                [
                    0xba, 0x02, 0x04, 0x00, 0x00, 0xb0, 0xf0, 0xee,  // mov $0x402, %edx; mov $0xf0, %al; out %al, %dx
                    0xba, 0xf8, 0x03, 0x00, 0x00, 0xb0, 0x21, 0xee,  // mov $0x3f8, %edx; mov $'!', %al; out %al, %dx
                    0xf4, 0xeb, 0xfd,  // hlt; jmp back to it
                ], 4096
            )
        ])

    /// Calls `body` with a running machine, its COM1 and its QMP; the machine is killed if it still runs afterwards.
    /// `wrapper` is a program with arguments that starts it; `change` changes its configuration.
    private func withMachine(
        _ guest: [UInt8] = guest, disk: Bool = false, debugLog: Int32? = nil, wrapper: [String] = [],
        change: (inout VMConfiguration) -> Void = { _ in },
        _ body: (ChildProcess, StreamSocket, MonitorClient, String) async throws -> Void
    ) async throws {
        let program = try #require(Self.program)
        try await withTemporaryFolder { folder in
            try write(guest, to: "\(folder)/kernel")
            if disk { try FileTree.makeSparseFile("\(folder)/disk", size: 1 << 20) }
            let monitor = try DescriptorPair.socketPair()
            let com1 = try DescriptorPair.socketPair()
            var wanted = VMConfiguration(
                name: "tiny", kernel: "\(folder)/kernel", memory: 32 << 20, com1: .descriptor(4),
                com2: .socket("\(folder)/com2"), monitor: .descriptor(3),
                disks: disk ? [VMConfiguration.Disk(path: "\(folder)/disk")] : [],
                debugLog: debugLog == nil ? nil : 6)
            change(&wanted)
            let file = try OwnedDescriptor.memoryFile("configuration", holding: Array(wanted.json.line.utf8))
            var inherited: [Int32: Int32] = [3: monitor.second.number, 4: com1.second.number, 5: file.number]
            inherited[6] = debugLog
            let words = wrapper + [program, "--config-fd", "5"]
            let child = try await ChildProcess.spawn(
                ChildConfiguration(
                    executable: try #require(Tool.find(words[0])), arguments: Array(words.dropFirst()),
                    inherited: inherited))
            do {
                try await body(
                    child, try StreamSocket(owning: com1.first), MonitorClient(try StreamSocket(owning: monitor.first)),
                    folder)
            } catch {
                child.kill()
                _ = await child.ended()
                throw error
            }
            child.kill()
            _ = await child.ended()
        }
    }

    private func read(_ socket: StreamSocket, until end: String) async throws -> String {
        try await withDeadline(.now + .seconds(30)) {
            var bytes: [UInt8] = []
            while !String(decoding: bytes, as: UTF8.self).hasSuffix(end) {
                let more = try await socket.read()
                if more.isEmpty { break }
                bytes += more
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    private func ended(_ child: ChildProcess) async throws -> ChildStatus {
        try await withDeadline(.now + .seconds(30)) { try await child.wait() }
    }

    /// The next event of that name; others are passed over.
    private func event(_ name: String, _ client: MonitorClient) async throws -> JSONValue? {
        while let message = try await client.receive() {
            if message["event"]?.stringValue == name { return message["data"] ?? .null }
        }
        return nil
    }

    @Test("A guest prints, hears, resets, panics and powers off; each is an event, and the last a status")
    func life() async throws {
        try await withMachine { child, com1, monitor, folder in
            try await monitor.negotiate()
            #expect(try await read(com1, until: "hello\n") == "hello\n")
            try await com1.write(Array("abc".utf8))
            #expect(try await read(com1, until: "abc") == "abc")
            try await com1.write(Array("r".utf8))
            #expect(try await event("RESET", monitor) == ["guest": true, "reason": "guest-reset"])
            #expect(try await read(com1, until: "hello\n") == "hello\n")
            #expect(try await monitor.ask("query-status")?["return"]?["status"] == "running")
            try await com1.write(Array("p".utf8))
            #expect(try await event("SHUTDOWN", monitor) == ["guest": true, "reason": "guest-shutdown"])
            #expect(try await ended(child) == .exited(VMMExitStatus.poweredOff.rawValue))
            #expect(child.standardError == [])
            #expect(try FileTree.names(in: folder) == ["kernel"])
        }
    }

    @Test("In its sandbox, too, a machine is written down and goes on in another process; a torn file says so")
    func snapshot() async throws {
        try await withTemporaryFolder { try await goOn(in: $0) }
    }

    private func goOn(in folder: String) async throws {
        let path = "\(folder)/golden"
        try await withMachine(change: { $0.snapshots = folder }) { _, com1, monitor, _ in
            try await monitor.negotiate()
            #expect(try await read(com1, until: "hello\n") == "hello\n")
            try await monitor.say(#"{"execute": "snapshot-save", "arguments": {"path": "\#(path)"}}"#)
            #expect(try await monitor.receive() == ["return": [:]])
            try await com1.write(Array("abc".utf8))
            #expect(try await read(com1, until: "abc") == "abc")
        }
        let names = try FileTree.names(in: folder)
        #expect(Set(names) == ["golden", "golden.memory"])
        try await withMachine(change: { $0.restore = path }) { child, com1, _, _ in
            try await com1.write(Array("abc".utf8))
            #expect(try await read(com1, until: "abc") == "abc")
            try await com1.write(Array("p".utf8))
            #expect(try await ended(child) == .exited(VMMExitStatus.poweredOff.rawValue))
        }
        #expect(truncate(path, 2000) == 0)
        try await withMachine(change: { $0.restore = path }) { child, _, _, _ in
            let status = try await ended(child)
            #expect(status == .exited(VMMExitStatus.hostTrouble.rawValue))
            let complaint = child.standardError.joined(separator: "\n")
            #expect(complaint.contains("\(path) cannot be restored: its checksum is wrong"))
        }
    }

    @Test("A guest that panicked and powers off has failed")
    func panic() async throws {
        try await withMachine { child, com1, monitor, _ in
            try await monitor.negotiate()
            _ = try await read(com1, until: "hello\n")
            try await com1.write(Array("x".utf8))
            #expect(try await event("GUEST_PANICKED", monitor) == ["action": "run"])
            try await com1.write(Array("p".utf8))
            #expect(try await ended(child) == .exited(VMMExitStatus.guestFailed.rawValue))
        }
    }

    @Test("A held guest does nothing until it is let go", arguments: [SIGTERM, SIGINT])
    func paused(signal: Int32) async throws {
        try await withMachine { child, com1, monitor, _ in
            try await monitor.negotiate()
            _ = try await read(com1, until: "hello\n")
            try await monitor.say(#"{"execute": "stop"}"#)
            #expect(try await event("STOP", monitor) == .null)
            try await com1.write(Array("abc".utf8))
            _ = try await monitor.receive()
            #expect(try await monitor.ask("query-status")?["return"]?["status"] == "paused")
            try await monitor.say(#"{"execute": "cont"}"#)
            #expect(try await event("RESUME", monitor) == .null)
            #expect(try await read(com1, until: "abc") == "abc")
            // A signal ends it in order.
            child.kill(signal)
            #expect(try await event("SHUTDOWN", monitor) == ["guest": false, "reason": "host-signal"])
            #expect(try await ended(child) == .exited(VMMExitStatus.poweredOff.rawValue))
        }
    }

    @Test("S21: sockets with paths are gone when it ends, also by a signal", arguments: [nil, SIGTERM, SIGHUP])
    func sockets(signal: Int32?) async throws {
        try await withMachine(change: {
            let folder = $0.kernel.dropLast("/kernel".count)
            $0.networks = [
                .init(mac: "52:54:00:00:00:01", link: .sockets(local: "\(folder)/net", remote: "\(folder)/nobody"))
            ]
        }) { child, com1, monitor, folder in
            #expect(try await read(com1, until: "hello\n").hasSuffix("hello\n"))
            #expect(access("\(folder)/net", F_OK) == 0)
            if let signal { child.kill(signal) } else { try await com1.write(Array("p".utf8)) }
            _ = try await withDeadline(.now + .seconds(20)) { try await child.wait() }
            #expect(try FileTree.names(in: folder) == ["kernel"])
        }
    }

    @Test("QEMU's own client drives it")
    func publishedClient() async throws {
        let program = try #require(Self.program)
        let script = #filePath.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/Clients/drive.py"
        guard try await Tool.run(Self.python, ["-c", "import qemu.qmp"], package: "python3").status.isSuccess else {
            try Test.cancel("\(Self.python) has no qemu.qmp (pip install qemu.qmp)")
        }
        try await withTemporaryFolder { folder in
            try write(Self.guest, to: "\(folder)/kernel")
            let child = try await ChildProcess.spawn(
                ChildConfiguration(
                    executable: program,
                    arguments: [
                        "--kernel", "\(folder)/kernel", "--name", "tiny", "--cpus=2", "--memory", "32MiB", "--monitor",
                        "\(folder)/qmp",
                    ]))
            #expect(try await eventually { access("\(folder)/qmp", F_OK) == 0 })
            let driven = try await withDeadline(.now + .seconds(60)) {
                try await Tool.run(Self.python, [script, "\(folder)/qmp"], package: "python3")
            }
            #expect(driven.status.isSuccess, "\(driven.errors)")
            #expect(
                driven.text.split(separator: "\n") == [
                    "name tiny", "package vmlab-vmm \(MonitorVersion.text)", "cpus 2", "status running", "stop {}",
                    "STOP []", "status paused", "cont {}", "RESUME []", "status running", "system_reset {}",
                    "RESET [('guest', False), ('reason', 'host-qmp-system-reset')]", "system_powerdown {}",
                    "POWERDOWN []", "migrate CommandNotFound", "quit {}",
                    "SHUTDOWN [('guest', False), ('reason', 'host-qmp-quit')]",
                ])
            #expect(try await ended(child) == .exited(0))
        }
    }

    @Test("Before the guest runs, every thread is confined, and writes to closed or full files are errors")
    func confinement() async throws {
        try await withMachine(disk: true) { child, com1, _, _ in
            #expect(try await read(com1, until: "hello\n") == "hello\n")
            let threads = "/proc/\(child.processID)/task"
            // The disk's thread takes its name as its first deed, which a busy host may not have let it do yet.
            #expect(
                try await eventually {
                    try FileTree.names(in: threads).contains {
                        ["disk\n", "virtio-blk\n"].contains(SmallFile.text("\(threads)/\($0)/comm"))
                    }
                })
            var names: Set<String> = []
            for thread in try FileTree.names(in: threads) {
                let status = try #require(SmallFile.text("\(threads)/\(thread)/status"))
                let facts = Dictionary(
                    status.split(separator: "\n").compactMap { line -> (Substring, Substring)? in
                        let words = line.split(separator: ":\t")
                        return words.count == 2 ? (words[0], words[1]) : nil
                    }, uniquingKeysWith: { first, _ in first })
                names.insert(String(facts["Name"] ?? ""))
                #expect(facts["Seccomp"] == "2" && facts["NoNewPrivs"] == "1", "\(facts["Name"] ?? "")")
                let ignored = try #require(facts["SigIgn"].flatMap { UInt64($0, radix: 16) })
                for signal in [SIGPIPE, SIGXFSZ] { #expect(ignored & 1 << UInt64(signal - 1) != 0) }
            }
            #expect(names.isSuperset(of: ["vcpu0", "vmlab-vmm"]), "the processor's and ours")
        }
    }

    @Test("A debug log that nobody reads holds up no processor")
    func fullDebugLog() async throws {
        let pipe = try DescriptorPair.pipe()
        let (source, target) = (pipe.first.number, pipe.second.number)
        let page = [UInt8](repeating: 0, count: 4096)
        try pipe.second.setNonBlocking()
        while Glibc.write(target, page, page.count) > 0 {}
        #expect(errno == EAGAIN)
        // From here on a write would wait.
        #expect(fcntl(target, F_SETFL, O_WRONLY) == 0)
        try await withMachine(Self.markingGuest, debugLog: target) { _, com1, _, _ in
            #expect(try await read(com1, until: "!") == "!")
            // Once there is room, the mark comes.
            let line = try await withDeadline(.now + .seconds(30)) {
                try await eventually {
                    var bytes = [UInt8](repeating: 0, count: 4096)
                    let count = Glibc.read(source, &bytes, bytes.count)
                    return count > 0 && bytes.starts(with: Array("240 ".utf8))
                }
            }
            #expect(line)
        }
    }

    @Test("A debug log beyond the limit of file sizes ends nothing but itself")
    func limitedDebugLog() async throws {
        try await withTemporaryFolder { folder in
            let log = try OwnedDescriptor.open("\(folder)/log", O_WRONLY | O_CREAT)
            let wrapper = ["prlimit", "--fsize=0", "--"]
            try await withMachine(Self.markingGuest, debugLog: log.number, wrapper: wrapper) { _, com1, monitor, _ in
                try await monitor.negotiate()
                #expect(try await read(com1, until: "!") == "!")
                #expect(try await monitor.ask("query-status")?["return"]?["status"] == "running")
            }
        }
    }

    @Test("On a terminal every key goes to the guest, but for Ctrl-A x, and the terminal is as before afterwards")
    func terminal() async throws {
        let program = try #require(Self.program)
        try await withTemporaryFolder { folder in
            try write(Self.guest, to: "\(folder)/kernel")
            var (main, other): (Int32, Int32) = (-1, -1)
            try systemCall("openpty") { openpty(&main, &other, nil, nil, nil) }
            let keyboard = OwnedDescriptor(owning: main)
            let terminal = OwnedDescriptor(owning: other)
            var before = termios()
            try systemCall("tcgetattr") { tcgetattr(terminal.number, &before) }
            let child = try await ChildProcess.spawn(
                ChildConfiguration(
                    executable: program, arguments: ["--kernel", "\(folder)/kernel", "--memory", "32MiB"],
                    standardInput: .descriptor(terminal.number), standardOutput: .descriptor(terminal.number)))
            let screen = try StreamSocket(owning: keyboard)
            #expect(try await read(screen, until: "hello\r\n") == "hello\r\n")
            var during = termios()
            try systemCall("tcgetattr") { tcgetattr(terminal.number, &during) }
            #expect(during.c_lflag & tcflag_t(ICANON | ECHO | ISIG) == 0)
            // A Ctrl-C and a Ctrl-A reach the guest, whose echo shows.
            try keys("a\u{3}\u{1}\u{1}b", to: main)
            #expect(try await read(screen, until: "b") == "a\u{3}\u{1}b")
            try keys("\u{1}x", to: main)
            #expect(try await ended(child) == .exited(VMMExitStatus.poweredOff.rawValue))
            var after = termios()
            try systemCall("tcgetattr") { tcgetattr(terminal.number, &after) }
            #expect(after.c_lflag == before.c_lflag && after.c_iflag == before.c_iflag)
            #expect(after.c_oflag == before.c_oflag)
        }
    }

    /// A terminal is no socket, so what is typed does not go by way of `StreamSocket`.
    private func keys(_ text: String, to terminal: Int32) throws {
        let bytes = Array(text.utf8)
        try systemCall("write") { Glibc.write(terminal, bytes, bytes.count) }
    }

    @Test("A guest that writes everywhere ends in the sandbox as it does outside", .requiresGuests)
    func hostile() async throws {
        let program = try #require(Self.program)
        try await withTemporaryFolder { folder in
            try write([UInt8](repeating: 7, count: 64 << 10), to: "\(folder)/disk")
            let result = try await withDeadline(.now + .seconds(60)) {
                try await Tool.run(
                    program,
                    [
                        "--kernel", "\(GuestPrograms.folder)/hostile.elf", "--memory", "32MiB", "--disk",
                        "\(folder)/disk",
                    ], package: "vmlab")
            }
            #expect(result.status == .exited(VMMExitStatus.poweredOff.rawValue), "\(result.errors)")
            #expect(result.text.hasSuffix("hostile: queues\nhostile: done\n"))
        }
    }

    @Test("What is wrong is said on standard error, with the status of its kind")
    func refusals() async throws {
        let program = try #require(Self.program)
        func run(_ arguments: [String]) async throws -> ToolResult {
            try await Tool.run(program, arguments, package: "vmlab")
        }
        let usage = try await run(["--kernel", "/k", "--cpus", "99"])
        #expect(usage.status == .exited(VMMExitStatus.usage.rawValue))
        #expect(usage.errors == ["vmlab-vmm: error: cpus: 99 is not between 1 and 16"])
        let help = try await run(["--help"])
        #expect(help.status.isSuccess && help.text.hasPrefix("vmlab-vmm: one virtual machine"))
        try await withTemporaryFolder { folder in
            try write(Array("no kernel".utf8), to: "\(folder)/kernel")
            let kernel = try await run(["--kernel", "\(folder)/kernel"])
            #expect(kernel.status == .exited(VMMExitStatus.usage.rawValue), "\(kernel.errors)")
            let disk = try await run(["--kernel", "\(folder)/kernel", "--disk", "\(folder)/none"])
            #expect(!disk.status.isSuccess && !disk.errors.isEmpty)
        }
    }
}

// `as --64`, then `objcopy -O binary -j .text`; entered in 64-bit mode:
//
//    start:
//     lea text(%rip), %rsi
//     mov $0x3f8, %edx
//    1: lodsb
//     test %al, %al
//     jz wait
//     out %al, %dx
//     jmp 1b
//    wait:
//     mov $0x3fd, %edx
//     in %dx, %al
//     test $1, %al
//     jz wait
//     mov $0x3f8, %edx
//     in %dx, %al
//     cmp $'p', %al
//     je power
//     cmp $'r', %al
//     je reset
//     cmp $'x', %al
//     je panic
//     out %al, %dx
//     jmp wait
//    power:
//     mov $0x600, %edx
//     mov $0x34, %al
//     out %al, %dx
//     jmp wait
//    reset:
//     mov $0x64, %edx
//     mov $0xfe, %al
//     out %al, %dx
//     jmp wait
//    panic:
//     mov $0x505, %edx
//     mov $1, %al
//     out %al, %dx
//     jmp wait
//    text: .asciz "hello\n"
