import Foundation
import Diagnostics
import Glibc
import GuestConsole
import HostSystem
import GuestControl
import LabSpec
import LabTestSupport
import Testing

@testable import LabMachines

@Suite("QEMU machines", .requiresQEMU, .serialized, .timeLimit(.minutes(2)))
struct QEMUMachineTests {
    private func withMachine(
        _ change: (inout MachineConfiguration) -> Void = { _ in },
        _ body: (any Machine, String) async throws -> Void
    ) async throws {
        try await withTemporaryFolder { folder in
            var configuration = try ProbeGuest.configuration(in: folder)
            change(&configuration)
            let machine = try await QEMUBackend(acceleration: .emulated).start(configuration)
            do {
                try await body(machine, folder)
            } catch {
                await machine.end()
                throw error
            }
            await machine.end()
        }
    }

    /// Reads until `text` has come; what came, or what was there at the end of the stream or after 30 seconds.
    private func read(_ channel: any ByteChannel, until text: String) async throws -> String {
        try await withDeadline(.now + .seconds(30)) {
            var bytes: [UInt8] = []
            while !String(decoding: bytes, as: UTF8.self).contains(text) {
                let more = try await channel.read()
                if more.isEmpty { break }
                bytes += more
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    @Test("Both serial ports speak from the first byte, and the guest answers")
    func serialPorts() async throws {
        try await withMachine { machine, _ in
            #expect(try await read(machine.commands, until: "ready\n") == "ready\n")
            #expect(try await read(machine.console, until: "hello\n") == "kernel says hello\n")
            try await machine.commands.write(Array("abc".utf8))
            #expect(try await read(machine.commands, until: "abc") == "abc")
        }
    }

    @Test("Nothing is lost when the console is read late")
    func slowReader() async throws {
        try await withMachine { machine, _ in
            _ = try await read(machine.commands, until: "ready\n")
            try await machine.commands.write(Array("f".utf8))
            // More than the sockets hold: the guest waits for us, not the other way round.
            var bytes: [UInt8] = []
            let hello = "kernel says hello\n".utf8.count
            while bytes.count < 200_000 + hello { bytes += try await machine.console.read() }
            #expect(Array(bytes.dropFirst(hello)) == (1...200_000).reversed().map { UInt8(truncatingIfNeeded: $0) })
            #expect(try await read(machine.commands, until: "F") == "F")
        }
    }

    @Test("The guest's power-off, reset and panic are events; the end is always the last one")
    func events() async throws {
        try await withMachine { machine, _ in
            _ = try await read(machine.commands, until: "ready\n")
            try await machine.commands.write(Array("r".utf8))
            _ = try await read(machine.commands, until: "ready\n")
            try await machine.commands.write(Array("x".utf8))
            try await machine.commands.write(Array("still on".utf8))
            _ = try await read(machine.commands, until: "still on")
            try await machine.commands.write(Array("p".utf8))
            var events: [MachineEvent] = []
            for await event in machine.events { events.append(event) }
            #expect(
                events == [
                    .reset, .panicked("the guest reported a kernel panic"), .shutdown,
                    .exited(status: "exit status 0", standardError: []),
                ])
        }
    }

    @Test("Pause stops it, resume lets it go on, reset starts it anew")
    func pauseAndReset() async throws {
        try await withMachine { machine, _ in
            _ = try await read(machine.commands, until: "ready\n")
            try await machine.pause()
            try await machine.commands.write(Array("abc".utf8))
            try await machine.resume()
            #expect(try await read(machine.commands, until: "abc") == "abc")
            try await machine.reset()
            #expect(try await read(machine.commands, until: "ready\n") == "ready\n")
        }
    }

    @Test("Killed from outside, it says so at once")
    func killed() async throws {
        try await withMachine { machine, _ in
            kill(machine.processID, SIGKILL)
            var last: MachineEvent?
            for await event in machine.events { last = event }
            #expect(last == .exited(status: "killed by SIGKILL", standardError: []))
            _ = try await read(machine.console, until: "no such text, only the end of the stream")
            await #expect(throws: Diagnostic.self) { try await machine.pause() }
        }
    }

    @Test("end() leaves no process and no file, may be called twice, at once and in a cancelled task")
    func ending() async throws {
        try await withTemporaryFolder { folder in
            var configuration = try ProbeGuest.configuration(in: folder)
            let base = folder + "/base.raw"
            try FileTree.makeSparseFile(base, size: 1 << 20)
            configuration.disks = [.scratch(size: .gibibytes(3)), .file(path: base)]
            let machine = try await QEMUBackend(acceleration: .emulated).start(configuration)
            #expect(try FileTree.names(in: folder) == ["base.raw", "kernel", "overlay1.qcow2", "scratch0.raw"])
            let cancelled = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                async let first: Void = machine.end()
                async let second: Void = machine.end()
                _ = await (first, second)
            }
            await cancelled.value
            await machine.end()
            #expect(kill(machine.processID, 0) == -1)
            #expect(try FileTree.names(in: folder) == ["base.raw", "kernel"])
        }
    }

    @Test("S13: QEMU has no capabilities, and no network of the host where the host allows it to have its own")
    func confinement() async throws {
        try await withTemporaryFolder { folder in
            let machine = try await QEMUBackend(acceleration: .emulated).start(ProbeGuest.configuration(in: folder))
            let status = SmallFile.text("/proc/\(machine.processID)/status") ?? ""
            for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                #expect(status.contains("\(name):\t0000000000000000\n"))
            }
            #expect(status.contains("NoNewPrivs:\t1\n") && status.contains("Seccomp:\t2\n"))
            let probe = try await ChildProcess.spawn(ChildConfiguration(executable: "/bin/true", isUnprivileged: true))
            _ = await probe.ended()
            for name in ["net", "ipc", "uts"] {
                let own = try FileManager.default.destinationOfSymbolicLink(
                    atPath: "/proc/\(machine.processID)/ns/\(name)")
                let host = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/\(name)")
                #expect((own != host) == probe.hasOwnNamespaces)
            }
            if probe.hasOwnNamespaces {
                // Of a network of its own it has the loopback, and that is down.
                let links = (SmallFile.text("/proc/\(machine.processID)/net/dev") ?? "").split(separator: "\n")
                    .dropFirst(2)
                #expect(links.allSatisfy { !$0.contains("eth") } && !links.isEmpty)
            }
            await machine.end()
        }
    }

    @Test("What QEMU refuses is told with its own words, and nothing is left")
    func refused() async throws {
        try await withTemporaryFolder { folder in
            var configuration = try ProbeGuest.configuration(in: folder)
            configuration.disks = [.scratch(size: .mebibytes(1))]
            configuration.networks = [NetworkAttachment(mac: "not a mac", local: "/tmp/a", remote: "/tmp/b")]
            let backend = try QEMUBackend(acceleration: .emulated)
            let wanted = configuration
            let error = await #expect(throws: Diagnostic.self) { try await backend.start(wanted) }
            #expect(error?.message == "cannot start the guest probe")
            #expect(error?.cause?.hasPrefix("QEMU: exit status 1: ") == true)
            #expect(error?.notes.contains { $0.contains("not a mac") } == true)
            #expect(try FileTree.names(in: folder) == ["kernel"])
        }
    }

    @Test("Cancelled while starting, nothing is left")
    func cancelledStart() async throws {
        try await withTemporaryFolder { folder in
            var configuration = try ProbeGuest.configuration(in: folder)
            configuration.disks = [.scratch(size: .mebibytes(1))]
            let wanted = configuration
            let backend = try QEMUBackend(acceleration: .emulated)
            for delay in [0, 5, 15, 40] {
                let starting = Task { try await backend.start(wanted) }
                try await Task.sleep(for: .milliseconds(delay))
                starting.cancel()
                // It may have been quick enough to start.
                do {
                    let machine = try await starting.value
                    await machine.end()
                } catch is CancellationError {}
                #expect(try FileTree.names(in: folder) == ["kernel"])
            }
        }
    }

    @Test("A saved machine goes on, and so does any number of others from where it was, each with its own disks")
    func saveAndRestore() async throws {
        try await withTemporaryFolder { folder in
            let backend = try QEMUBackend(acceleration: .emulated)
            var configuration = try ProbeGuest.configuration(in: folder)
            configuration.disks = [.scratch(size: .mebibytes(1))]
            let original = try await backend.start(configuration)
            var machines = [original]
            do {
                _ = try await read(original.commands, until: "ready\n")
                // Twice: what one save leaves must not stand in the way of the next.
                for name in ["first", "second"] {
                    try FileTree.makeFolder("\(folder)/\(name)")
                    configuration.restoring = try await original.save(to: "\(folder)/\(name)")
                    try await original.commands.write(Array("on".utf8))
                    #expect(try await read(original.commands, until: "on") == "on")
                }
                #expect(configuration.restoring?.disks.keys.sorted() == [0])
                let files = try FileTree.names(in: "\(folder)/second")
                #expect(files == ["disk0", "state"])
                for name in ["a", "b"] {
                    configuration.name = name
                    configuration.directory = "\(folder)/\(name)"
                    try FileTree.makeFolder(configuration.directory)
                    let clone = try await backend.start(configuration)
                    machines.append(clone)
                    // It does not boot again: no `ready`, only the echo.
                    try await clone.commands.write(Array(name.utf8))
                    #expect(try await read(clone.commands, until: name) == name)
                    #expect(try FileTree.names(in: configuration.directory) == ["overlay0.qcow2"])
                }
                #expect(try FileTree.names(in: "\(folder)/second") == files)
            } catch {
                for machine in machines { await machine.end() }
                throw error
            }
            for machine in machines { await machine.end() }
            #expect(try FileTree.names(in: "\(folder)/a") == [])
        }
    }

    @Test("A golden's memory stays where it is: clones map it, are saved whole, and never change it")
    func goldens() async throws {
        try await withTemporaryFolder { folder in
            let backend = try QEMUBackend(acceleration: .emulated)
            let golden = "\(folder)/golden"
            try FileTree.makeFolder(golden)
            var configuration = try ProbeGuest.configuration(in: folder)
            configuration.disks = [.scratch(size: .mebibytes(1))]
            var machines: [any Machine] = []
            func start(_ name: String, from saved: SavedMachine?) async throws -> any Machine {
                configuration.name = name
                configuration.directory = "\(folder)/\(name)"
                configuration.goldenFolder = saved == nil ? golden : nil
                configuration.restoring = saved
                try FileTree.makeFolder(configuration.directory)
                let machine = try await backend.start(configuration)
                machines.append(machine)
                if saved == nil { _ = try await read(machine.commands, until: "ready\n") }
                return machine
            }
            func expectEcho(_ machine: any Machine, _ text: String) async throws {
                try await machine.commands.write(Array(text.utf8))
                #expect(try await read(machine.commands, until: text) == text)
            }
            do {
                let first = try await start("first", from: nil)
                let saved = try await first.save(to: golden)
                #expect(saved.memory == "\(golden)/memory")
                #expect(try FileTree.names(in: golden) == ["disk0", "memory", "state"])
                var status = stat()
                #expect(stat("\(golden)/memory", &status) == 0 && status.st_size == 32 << 20)
                // It was full of nothing, and of the state it is no part.
                #expect(status.st_blocks < 16384 && status.st_mode & 0o777 == 0o600)
                #expect(stat(saved.state, &status) == 0 && status.st_size < 1 << 20)
                func hashes() async throws -> String {
                    try await Tool.run(
                        "sha256sum", FileTree.names(in: golden).map { "\(golden)/\($0)" }, package: "coreutils"
                    ).checked("no hashes").text
                }
                let before = try await hashes()
                await first.end()

                let clone = try await start("a", from: saved)
                try await expectEcho(clone, "a")
                try await expectEcho(try await start("b", from: saved), "b")
                // A clone is saved as any other machine, and goes on.
                try FileTree.makeFolder("\(folder)/live")
                let live = try await clone.save(to: "\(folder)/live")
                try await expectEcho(clone, "on")
                try await expectEcho(try await start("c", from: live), "c")
                // A reset boots it anew.
                try await clone.reset()
                #expect(try await read(clone.commands, until: "ready\n") == "ready\n")
                #expect(try await hashes() == before)
            } catch {
                for machine in machines { await machine.end() }
                throw error
            }
            for machine in machines { await machine.end() }
        }
    }

    @Test("What stands in the way of a golden's memory is named, and stays")
    func goldenInUse() async throws {
        try await withTemporaryFolder { folder in
            var configuration = try ProbeGuest.configuration(in: folder)
            configuration.goldenFolder = folder
            try FileTree.makeSparseFile("\(folder)/memory", size: 1)
            let wanted = configuration
            let backend = try QEMUBackend(acceleration: .emulated)
            let error = await #expect(throws: Diagnostic.self) { try await backend.start(wanted) }
            #expect(error?.message == "cannot make the guest's memory \(folder)/memory")
            #expect(try FileTree.names(in: folder) == ["kernel", "memory"])
        }
    }

    @Test("A save that fails or is cancelled lets the machine go on")
    func failedSave() async throws {
        try await withMachine { machine, folder in
            _ = try await read(machine.commands, until: "ready\n")
            let error = await #expect(throws: Diagnostic.self) { try await machine.save(to: "\(folder)/missing") }
            #expect(error?.message == "the guest's state could not be saved")
            try await machine.commands.write(Array("abc".utf8))
            #expect(try await read(machine.commands, until: "abc") == "abc")
            for delay in [0, 1, 3, 10] {
                let target = "\(folder)/save\(delay)"
                try FileTree.makeFolder(target)
                let saving = Task { try await machine.save(to: target) }
                try await Task.sleep(for: .milliseconds(delay))
                saving.cancel()
                // It may have been quick enough.
                do { _ = try await saving.value } catch is CancellationError {}
                try await machine.commands.write(Array("cde".utf8))
                #expect(try await read(machine.commands, until: "cde") == "cde")
            }
        }
    }

    @Test("A state that is damaged, or of another machine, is refused with QEMU's words, and nothing is left")
    func damagedState() async throws {
        try await withTemporaryFolder { folder in
            let backend = try QEMUBackend(acceleration: .emulated)
            var configuration = try ProbeGuest.configuration(in: folder)
            let file = try OwnedDescriptor.open("\(folder)/state", O_WRONLY | O_CREAT)
            _ = write(file.number, Array("no state".utf8), 8)
            configuration.disks = [.scratch(size: .mebibytes(1))]
            configuration.restoring = SavedMachine(state: "\(folder)/state")
            let wanted = configuration
            let error = await #expect(throws: Diagnostic.self) { try await backend.start(wanted) }
            #expect(error?.message == "the saved guest could not be restored")
            #expect(error?.notes.isEmpty == false)
            #expect(try FileTree.names(in: folder) == ["kernel", "state"])
        }
    }
}
