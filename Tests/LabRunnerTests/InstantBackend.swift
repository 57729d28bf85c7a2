import GuestConsole
import GuestControl
import LabSpec
import LabTestSupport
import Quantities

/// A backend whose guests end every command at once: what is left is the engine's own cost.
struct InstantBackend: MachineBackend {
    let name = "instant"

    func overhead(memory: ByteCount, cpus: Int) -> ByteCount { ByteCount(0) }

    func start(_ configuration: MachineConfiguration) async throws -> any Machine { InstantMachine() }
}

private final class InstantMachine: Machine {
    private let kernel = ScriptedGuest()
    private let port = InstantPort()
    private let sink: AsyncStream<MachineEvent>.Continuation
    let events: AsyncStream<MachineEvent>
    let processID: Int32 = 0
    var console: any ByteChannel { kernel }
    var commands: any ByteChannel { port }

    init() { (events, sink) = AsyncStream.makeStream() }

    func end() async {
        kernel.close()
        port.close()
        sink.finish()
    }
}

/// Speaks the `sh` dialect: greets, answers probes, and ends each command with status 0 and no output.
private final class InstantPort: ByteChannel {
    private let guest = ScriptedGuest()

    init() { guest.say("\nVMLAB READY sh\n") }

    func read() async throws -> [UInt8] { try await guest.read() }

    func write(_ bytes: [UInt8]) async throws {
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(maxSplits: 4) { $0 == " " || $0 == ";" }
            if line.hasPrefix("v ") || line.hasPrefix("b "), words.count > 1 {
                guest.say("\u{1e}\(words[1].prefix(8))+\u{1e}\(words[1])-0\n")
            } else if line.hasPrefix("printf %s%s "), words.count > 3 {
                guest.say("\(words[2])\(words[3])")
            }
        }
    }

    func close() { guest.close() }
}
