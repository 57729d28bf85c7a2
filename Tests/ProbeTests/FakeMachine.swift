import GuestConsole
import LabTestSupport
import Synchronization

/// A probe's machine in a test's memory: what a shell says is gathered, and disks are arrays.
final class FakeMachine: ProbeMachine {
    let name = Text("lin-7")
    var contents: [(serial: Text, bytes: Text)] = []
    var cards: [ProbeCard] = []
    var isInterrupted = false
    var arriving: [ProbeMessage] = []
    private(set) var sent: [ProbeMessage] = []
    private(set) var ends: [String] = []
    private var said: Text = []

    var disks: [ProbeDisk] {
        contents.map { ProbeDisk(serial: $0.serial, sectors: $0.bytes.count / 512, isReadOnly: false) }
    }

    /// What was said since this was last asked.
    func takeSaid() -> Text {
        defer { said = [] }
        return said
    }

    func beginCommand() { isInterrupted = false }
    func say(_ text: Text) { said += text }

    func pass(milliseconds: Int, awake: Bool) -> Bool {
        // A minute is more than a test waits: Ctrl-C ends it.
        if milliseconds > 60_000 { isInterrupted = true }
        return !isInterrupted
    }

    func read(disk: Int, sector: Int, count: Int) -> Text? {
        let bytes = contents[disk].bytes.dropFirst(sector * 512).prefix(count * 512)
        return bytes.count == count * 512 ? Text(bytes) : nil
    }

    func write(disk: Int, sector: Int, bytes: Text) -> Bool {
        let start = sector * 512
        guard start + bytes.count <= contents[disk].bytes.count else { return false }
        contents[disk].bytes.replaceSubrange(start..<(start + bytes.count), with: bytes)
        return true
    }

    func send(_ message: ProbeMessage) -> Bool {
        sent.append(message)
        return !cards.isEmpty
    }

    func receive(_ kind: ProbeMessage.Kind, from sender: Text?, milliseconds: Int) -> ProbeMessage? {
        arriving.isEmpty ? nil : arriving.removeFirst()
    }

    func powerOff() { ends.append("power off") }
    func reboot() { ends.append("reboot") }
    func panic(_ reason: Text) { ends.append("panic: " + string(reason)) }
    func crash() { ends.append("crash") }
    func fault(_ kind: ProbeFault) { ends.append("fault: \(kind)") }
}

func string(_ text: Text) -> String { String(decoding: text, as: UTF8.self) }

/// The probe's command channel, for the console's own sessions.
final class ProbeChannel: ByteChannel {
    private struct Guest {
        let machine: FakeMachine
        let session: Session<FakeMachine>
    }

    private let line = ScriptedGuest()
    private let guest: Mutex<Guest>

    init(_ language: Shell<FakeMachine>.Language) {
        guest = Mutex(Self.boot(language))
        answer { $0.session.greet() }
    }

    private static func boot(_ language: Shell<FakeMachine>.Language) -> Guest {
        let machine = FakeMachine()
        return Guest(machine: machine, session: Session(machine, language))
    }

    func read() async throws -> [UInt8] { try await line.read() }

    func write(_ bytes: [UInt8]) async throws {
        answer { guest in
            for byte in bytes where byte != 3 { guest.session.take(byte) }
        }
    }

    private func answer(_ body: (Guest) -> Void) {
        let said = guest.withLock { guest in
            body(guest)
            return guest.machine.takeSaid()
        }
        if !said.isEmpty { line.say(said) }
    }

    func close() { line.close() }
}
