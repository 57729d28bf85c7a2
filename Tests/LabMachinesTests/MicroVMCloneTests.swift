import Diagnostics
import Glibc
import GuestConsole
import HostSystem
import GuestControl
import LabSpec
import LabTestSupport
import Testing

@testable import LabMachines

extension Trait where Self == ConditionTrait {
    /// The test runs the build's own vmlab-vmm.
    fileprivate static var requiresMonitor: Self {
        .enabled("vmlab-vmm is not built") { BuiltMonitor.path != nil }
    }
}

private enum BuiltMonitor {
    static let path: String? = {
        let root = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
        return Environment["VMLAB_VMM"] ?? Tool.find("\(root)/.build/debug/vmlab-vmm")
    }()
}

/// The real vmlab-vmm on this host's `/dev/kvm`, of whichever kind: machines that are saved, and others that go on from there.
@Suite("Clones in vmlab-vmm", .serialized, .requiresKVM, .requiresMonitor, .timeLimit(.minutes(1)))
struct MicroVMCloneTests {
    private func backend() throws -> MicroVMBackend { MicroVMBackend(executable: try #require(BuiltMonitor.path)) }

    /// A machine of the probe guest with an empty disk of its own, in a new folder below `folder`.
    private func configuration(in folder: String, _ name: String) throws -> MachineConfiguration {
        let directory = "\(folder)/\(name)"
        try FileTree.makeFolder(directory)
        var configuration = try ProbeGuest.monitorConfiguration(in: folder, name: name)
        configuration.directory = directory
        configuration.disks = [.scratch(size: .mebibytes(1))]
        return configuration
    }

    private func read(_ channel: any ByteChannel, until end: String) async throws -> String {
        try await withDeadline(.now + .seconds(20)) {
            var bytes: [UInt8] = []
            while !String(decoding: bytes, as: UTF8.self).hasSuffix(end) {
                let more = try await channel.read()
                if more.isEmpty { break }
                bytes += more
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    private func expectEcho(_ machine: any Machine, _ text: String) async throws {
        try await machine.commands.write(Array(text.utf8))
        #expect(try await read(machine.commands, until: text) == text)
    }

    /// Starts machines for `body`, and ends all of them however that ends.
    private func withMachines(
        _ body: (_ start: (MachineConfiguration) async throws -> any Machine) async throws -> Void
    )
        async throws
    {
        let backend = try backend()
        var machines: [any Machine] = []
        let result: Result<Void, any Error>
        do {
            result = .success(
                try await body { configuration in
                    let machine = try await backend.start(configuration)
                    machines.append(machine)
                    return machine
                })
        } catch {
            result = .failure(error)
        }
        for machine in machines { await machine.end() }
        try result.get()
    }

    private func contents(of folder: String) throws -> [String: [UInt8]] {
        Dictionary(
            uniqueKeysWithValues: try FileTree.names(in: folder).map { ($0, try SmallFile.bytes("\(folder)/\($0)")) })
    }

    private func put(_ text: String, at offset: off_t, in path: String) throws {
        let file = try OwnedDescriptor.open(path, O_WRONLY)
        #expect(pwrite(file.number, text, text.utf8.count, offset) == text.utf8.count)
    }

    @Test("A saved machine goes on, and so do others from where it was, and others from where these were")
    func generations() async throws {
        try await withTemporaryFolder { folder in
            try await withMachines { start in
                let original = try await start(try configuration(in: folder, "original"))
                _ = try await read(original.commands, until: "ready\n")
                try put("original", at: 4096, in: "\(folder)/original/scratch0")
                var saved: [SavedMachine] = []
                for name in ["first", "second"] {
                    try FileTree.makeFolder("\(folder)/\(name)")
                    saved.append(try await original.save(to: "\(folder)/\(name)"))
                    try await expectEcho(original, "on")
                }
                let first = try contents(of: "\(folder)/first")
                #expect(first.keys.sorted() == ["disk0", "state", "state.memory"])
                #expect(first["disk0"]?[4096..<4104] == Array("original".utf8)[...])
                #expect(try FileTree.names(in: "\(folder)/original") == ["scratch0"])

                for name in ["a", "b"] {
                    var wanted = try configuration(in: folder, name)
                    wanted.restoring = saved[0]
                    let clone = try await start(wanted)
                    // It does not boot again: no `ready`, only the echo.
                    try await expectEcho(clone, name)
                    #expect(try FileTree.names(in: wanted.directory) == ["overlay0"])
                }
                var clone = try configuration(in: folder, "c")
                clone.restoring = saved[1]
                let parent = try await start(clone)
                try FileTree.makeFolder("\(folder)/third")
                clone = try configuration(in: folder, "d")
                clone.restoring = try await parent.save(to: "\(folder)/third")
                await parent.end()
                try FileTree.remove("\(folder)/second")
                let child = try await start(clone)
                try await expectEcho(child, "second")
                #expect(try SmallFile.bytes("\(folder)/third/disk0")[4096..<4104] == Array("original".utf8)[...])
                #expect(try contents(of: "\(folder)/first") == first)
            }
            for name in ["original", "a", "b", "c", "d"] { #expect(try FileTree.names(in: "\(folder)/\(name)") == []) }
        }
    }

    @Test("A golden's memory is in its folder from the start; once saved it stands still, and its clones go on")
    func golden() async throws {
        try await withTemporaryFolder { folder in
            let home = "\(folder)/golden"
            try FileTree.makeFolder(home)
            try await withMachines { start in
                var wanted = try configuration(in: folder, "builder")
                wanted.goldenFolder = home
                let golden = try await start(wanted)
                _ = try await read(golden.commands, until: "ready\n")
                // Also from a memory that was once emptied.
                try await golden.reset()
                _ = try await read(golden.commands, until: "ready\n")
                #expect(try FileTree.names(in: home) == ["state.memory"])
                let saved = try await golden.save(to: home)
                #expect(saved.memory == "\(home)/state.memory")
                let files = try contents(of: home)
                await #expect(throws: Diagnostic.self) { try await golden.resume() }
                await #expect(throws: Diagnostic.self) { try await golden.reset() }
                try await golden.commands.write(Array("lost".utf8))
                for name in ["a", "b", "c"] {
                    var wanted = try configuration(in: folder, name)
                    wanted.restoring = saved
                    try await expectEcho(try await start(wanted), name)
                }
                await golden.end()
                #expect(try contents(of: home) == files)
            }
        }
    }

    @Test("A save that fails or is cancelled lets the machine go on")
    func failedSave() async throws {
        try await withTemporaryFolder { folder in
            try await withMachines { start in
                let machine = try await start(try configuration(in: folder, "machine"))
                _ = try await read(machine.commands, until: "ready\n")
                let error = await #expect(throws: Diagnostic.self) { try await machine.save(to: "\(folder)/missing") }
                #expect(error?.message == "the guest's state could not be saved")
                try await expectEcho(machine, "abc")
                for delay in [0, 1, 3, 10] {
                    let target = "\(folder)/save\(delay)"
                    try FileTree.makeFolder(target)
                    let saving = Task { try await machine.save(to: target) }
                    try await Task.sleep(for: .milliseconds(delay))
                    saving.cancel()
                    // It may have been quick enough.
                    do { _ = try await saving.value } catch is CancellationError {}
                    try await expectEcho(machine, "cde")
                    #expect(try FileTree.names(in: "\(folder)/machine") == ["scratch0"])
                }
            }
        }
    }

    @Test("What does not fit is refused in vmlab-vmm's words, and nothing is left")
    func refusals() async throws {
        try await withTemporaryFolder { folder in
            try await withMachines { start in
                let machine = try await start(try configuration(in: folder, "machine"))
                _ = try await read(machine.commands, until: "ready\n")
                try FileTree.makeFolder("\(folder)/saved")
                let saved = try await machine.save(to: "\(folder)/saved")
                for (change, reason) in [
                    ({ $0.memory = .mebibytes(64) }, "it has 32MiB of memory, this machine 64MiB"),
                    ({ $0.cpus = 2 }, "it has 1 processors, this machine 2"),
                    ({ $0.disks = [] }, "it has the devices"),
                    (
                        { $0.disks = [.scratch(size: .mebibytes(1)), .scratch(size: .mebibytes(2))] },
                        "it has the devices"
                    ),
                ] as [((inout MachineConfiguration) -> Void, String)] {
                    try? FileTree.remove("\(folder)/clone")
                    var wanted = try configuration(in: folder, "clone")
                    wanted.restoring = saved
                    change(&wanted)
                    let refused = wanted
                    let error = await #expect(throws: Diagnostic.self) { try await start(refused) }
                    #expect(error?.message == "cannot start the guest clone")
                    let words = error?.notes.joined(separator: "\n") ?? ""
                    #expect(words.contains("the snapshot \(folder)/saved/state cannot be restored: \(reason)"))
                    #expect(try FileTree.names(in: "\(folder)/clone") == [])
                }
            }
        }
    }
}
