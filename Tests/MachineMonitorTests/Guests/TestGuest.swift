import Glibc
import HostSystem
import JSON
import LabTestSupport
import QMP
import Synchronization
import Testing

@testable import MachineMonitor

/// A guest of Tests/Guests that runs in this process, on this host's `/dev/kvm`, the way `vmlab-vmm` runs one.
final class TestGuest: Sendable {
    /// What a guest did not say: within its time, or before it ended.
    struct Silence: Error, CustomStringConvertible {
        let wanted: String
        let said: String
        var description: String { "the guest did not say \"\(wanted)\" but \"\(said)\"" }
    }

    private static let patience = Duration.seconds(30)

    private let console: StreamSocket
    private let monitor: MonitorClient
    private let end = Completion<Result<VMMExitStatus, any Error>>()
    private let isListening = Atomic(false)
    /// Read from the console and not yet returned by `receive`.
    private let received = Mutex("")

    /// Starts it. Throws what of the host stands against that; what is wrong with the guest `ended` throws.
    private init(_ configuration: VMConfiguration) async throws {
        let com1 = try DescriptorPair.socketPair()
        let qmp = try DescriptorPair.socketPair()
        console = try StreamSocket(owning: com1.first)
        monitor = MonitorClient(try StreamSocket(owning: qmp.first))
        var configuration = configuration
        configuration.com1 = .descriptor(com1.second.release())
        configuration.monitor = .descriptor(qmp.second.release())
        // Everything but the sandbox, which would be all tests'.
        configuration.sandbox = false
        let (end, wanted) = (end, configuration)
        _ = try HostThread("test guest", stack: 8 << 20) {
            end.fulfil(Result { try GuestProcess(wanted).run() })
        }
    }

    /// Calls `body` with the guest of that name; it is ended if it still runs afterwards.
    static func run(
        _ name: String, processors: Int = 1, disks: [VMConfiguration.Disk] = [],
        networks: [VMConfiguration.Network] = [], memory: UInt64 = 32 << 20, snapshots: String? = nil,
        restore: String? = nil, _ body: (TestGuest) async throws -> Void
    ) async throws {
        let guest = try await TestGuest(
            VMConfiguration(
                name: name, kernel: "\(GuestPrograms.folder)/\(name).elf", memory: memory, cpus: processors,
                disks: disks,
                networks: networks, snapshots: snapshots, restore: restore))
        let result: Result<Void, any Error>
        do { result = .success(try await body(guest)) } catch { result = .failure(error) }
        if guest.end.current == nil {
            try? await guest.listen()
            try? await guest.monitor.say(#"{"execute": "quit"}"#)
            _ = try await withDeadline(.now + patience) { try await guest.end.wait() }
        }
        try result.get()
    }

    // MARK: Its console

    /// What it says until `text`, that included and what was returned before not.
    func receive(until text: String) async throws -> String {
        do {
            return try await withDeadline(.now + Self.patience) { [self] in
                while true {
                    if let said = take(until: text) { return said }
                    let more = try await console.read()
                    if more.isEmpty { throw Silence(wanted: text, said: received.withLock { $0 }) }
                    received.withLock { $0 += String(decoding: more, as: UTF8.self) }
                }
            }
        } catch is DeadlineExceeded {
            throw Silence(wanted: text, said: received.withLock { $0 })
        }
    }

    private func take(until text: String) -> String? {
        received.withLock { received in
            let (all, wanted) = (Array(received.utf8), Array(text.utf8))
            guard
                let start = all.indices.first(where: { all[$0...].starts(with: wanted) })
            else { return nil }
            received = String(decoding: all[(start + wanted.count)...], as: UTF8.self)
            return String(decoding: all[..<(start + wanted.count)], as: UTF8.self)
        }
    }

    /// Types at its console.
    func type(_ text: String) async throws { try await console.write(Array(text.utf8)) }

    // MARK: Its machine

    /// Begins to hear events. What happened before is not told. Safe to repeat.
    func listen() async throws {
        guard !isListening.exchange(true, ordering: .relaxed) else { return }
        try await monitor.negotiate()
    }

    /// The data of the next event of that name; others are passed over, answers too.
    func event(_ name: String) async throws -> JSONValue {
        while let message = try await monitor.receive() {
            if message["event"]?.stringValue == name { return message["data"] ?? .null }
        }
        throw Silence(wanted: name, said: "")
    }

    /// The answer to a command; events are passed over.
    func ask(_ command: String, _ arguments: JSONValue = [:]) async throws -> JSONValue {
        try await monitor.say(#"{"execute": "\#(command)", "arguments": \#(arguments.line)}"#)
        return try await answer(to: command)
    }

    /// Has its machine written down; what the monitor answers.
    func save(to path: String) async throws -> JSONValue {
        try await monitor.say(#"{"execute": "snapshot-save", "arguments": {"path": "\#(path)"}}"#)
        return try await answer(to: "snapshot-save")
    }

    private func answer(to command: String) async throws -> JSONValue {
        while let message = try await monitor.receive() {
            if let answer = message["return"] ?? message["error"] { return answer }
        }
        throw Silence(wanted: command, said: "")
    }

    /// What its machine is doing, in QMP's words.
    func status() async throws -> String? { try await ask("query-status")["status"]?.stringValue }

    /// How it ended, when it has.
    func ended() async throws -> VMMExitStatus {
        try await withDeadline(.now + Self.patience) { [end] in try await end.wait() }.get()
    }
}
