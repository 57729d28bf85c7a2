/// The probe's machine: its serial ports, disks and cards, and the ways to end.
final class Machine: ProbeMachine {
    private(set) var name = Text("probe")
    let isWindows: Bool
    private var drivers: [BlockDriver] = []
    private var networks: [NetworkDriver] = []
    /// Typed and not yet taken by a shell.
    private var typed: Text = []
    private var output: Text = []
    private var wasInterrupted = false
    /// Messages that nobody has waited for yet.
    private var messages: [ProbeMessage] = []
    private static var mostMessages: Int { 64 }
    private static var outputLimit: Int { 4096 }

    init(words: [Text]) {
        isWindows = words.contains { $0 == "vmlab.os=windows" }
        for word in words where word.begins("vmlab.guest=") { name = Text(word.dropFirst(12)) }
        for device in VirtioDevice.all() {
            if device.kind == 1 { networks.append(NetworkDriver(device)) } else { drivers.append(BlockDriver(device)) }
        }
    }

    var disks: [ProbeDisk] { drivers.map { $0.disk } }
    var cards: [ProbeCard] { networks.map { $0.card } }

    // MARK: The command channel

    func say(_ text: Text) {
        output += text
        if output.count >= Self.outputLimit { flush() }
    }

    private func flush() {
        SerialPort.commands.write(output)
        output.removeAll(keepingCapacity: true)
    }

    /// Gives what is typed to `body`, and otherwise sleeps, for ever.
    func serve(_ body: (UInt8) -> Void) -> Never {
        while true {
            poll()
            // Ctrl-C where nothing runs.
            wasInterrupted = false
            while !typed.isEmpty {
                let bytes = typed
                typed = []
                for byte in bytes { body(byte) }
            }
            flush()
            if typed.isEmpty, !poll() { probe_wait() }
        }
    }

    /// Looks at everything that may have something for us. Says whether it had.
    @discardableResult
    private func poll() -> Bool {
        var hadSomething = false
        let bytes = SerialPort.commands.read()
        if !bytes.isEmpty {
            hadSomething = true
            if bytes.contains(3) { wasInterrupted = true }
            typed += bytes.filter { $0 != 3 }
        }
        for index in networks.indices {
            while let frame = networks[index].receive() {
                hadSomething = true
                if let message = ProbeMessage(frame: frame) { receive(message) }
            }
        }
        return hadSomething
    }

    var isInterrupted: Bool {
        poll()
        return wasInterrupted
    }

    func beginCommand() { wasInterrupted = false }

    func pass(milliseconds: Int, awake: Bool) -> Bool {
        flush()
        var left = milliseconds
        while left > 0 {
            Interrupts.count(milliseconds: left)
            left -= Interrupts.longest
            while !Interrupts.isOver {
                if isInterrupted { return false }
                if awake { burn() } else { probe_wait() }
            }
        }
        return true
    }

    /// Some milliseconds of work, between looks at the clock and the port.
    private func burn() {
        for _ in 0..<1_000_000 { _ = probe_load16(0x1000) }
    }

    // MARK: Disks and network

    func read(disk: Int, sector: Int, count: Int) -> Text? { drivers[disk].read(sector: sector, count: count) }
    func write(disk: Int, sector: Int, bytes: Text) -> Bool { drivers[disk].write(sector: sector, bytes: bytes) }

    func send(_ message: ProbeMessage) -> Bool {
        for index in networks.indices { networks[index].send(message.frame(from: networks[index].card.address)) }
        return !networks.isEmpty
    }

    func receive(_ kind: ProbeMessage.Kind, from sender: Text?, milliseconds: Int) -> ProbeMessage? {
        flush()
        var left = milliseconds
        var isOver = false
        while true {
            let isStopped = isInterrupted
            let isWanted = { (message: ProbeMessage) in
                message.kind == kind && (sender.map { $0 == message.sender } ?? true)
            }
            if let index = messages.firstIndex(where: isWanted) { return messages.remove(at: index) }
            if isStopped || isOver && left <= 0 { return nil }
            if isOver || left == milliseconds {
                Interrupts.count(milliseconds: left)
                left -= Interrupts.longest
            }
            isOver = Interrupts.isOver
            if !isOver { probe_wait() }
        }
    }

    /// Answers a ping, keeps what a command may wait for.
    private func receive(_ message: ProbeMessage) {
        if message.kind != .text, message.text != name { return }
        if message.kind == .ping {
            _ = send(ProbeMessage(.pong, from: name, message.sender))
        } else if messages.count < Self.mostMessages {
            messages.append(message)
        }
    }

    // MARK: Ends

    func crash() {
        flush()
        probe_crash()
    }

    func powerOff() {
        flush()
        // vmlab's machine: SLP_EN and type 5; then QEMU's q35.
        probe_port_write(0x600, 0x34)
        probe_port_write_word(0x604, 0x2000)
    }

    func reboot() {
        flush()
        probe_port_write(0x64, 0xfe)
        fault(.triple)
    }

    func panic(_ reason: Text) {
        flush()
        die(reason, isWindows: isWindows)
    }

    func fault(_ kind: ProbeFault) {
        flush()
        if kind == .triple { probe_drop_faults() }
        _ = probe_load(0x4000_0000)
    }
}
