/// A 16550A (PC16550D): the console on COM1, the command channel on COM2.
struct SerialPort {
    let base: UInt32

    static let console = SerialPort(base: 0x3f8)
    static let commands = SerialPort(base: 0x2f8)

    /// FIFOs on, an interrupt for each arrival.
    func start() {
        probe_port_write(base + 2, 1)
        probe_port_write(base + 4, 0x0b)
        probe_port_write(base + 1, 1)
    }

    /// What has arrived. An empty FIFO reads as NUL on the machines that probes run on, and no text has one; so one
    /// system call takes many bytes, where two register accesses for each would cost a hundred microseconds.
    func read() -> Text {
        let bytes = Text(unsafeUninitializedCapacity: 128) { buffer, count in
            if let start = buffer.baseAddress { probe_read(base, start, 128) }
            count = 128
        }
        return bytes.filter { $0 != 0 }
    }

    func write(_ text: Text) {
        guard !text.isEmpty else { return }
        text.withUnsafeBufferPointer { buffer in
            if let start = buffer.baseAddress { probe_write(base, start, UInt32(buffer.count)) }
        }
    }
}

/// The interrupt controllers and the one timer: interrupts do nothing but end `probe_wait`.
enum Interrupts {
    private static var apic: UInt { 0xfee0_0000 }
    private static var ioapic: UInt { 0xfec0_0000 }
    private static var vectors: UInt32 { 0x20 }
    private static var timerVector: UInt32 { 0x3e }

    static func start() {
        // The two old controllers stay out of it.
        probe_port_write(0x21, 0xff)
        probe_port_write(0xa1, 0xff)
        probe_store(apic + 0xf0, 0x13f)
        probe_store(apic + 0x320, timerVector)
        // One tick is 16 ns: the bus that KVM and QEMU make up for the timer has 1 GHz.
        probe_store(apic + 0x3e0, 3)
    }

    /// Lets the IOAPIC's pin through, by its edges.
    static func enable(_ pin: UInt32) {
        probe_store(ioapic, 0x10 + 2 * pin)
        probe_store(ioapic + 0x10, vectors + pin)
        probe_store(ioapic, 0x11 + 2 * pin)
        probe_store(ioapic + 0x10, 0)
    }

    /// The longest time that the timer can count.
    static var longest: Int { 60_000 }

    /// Starts the timer anew.
    static func count(milliseconds: Int) {
        probe_store(apic + 0x380, UInt32(min(milliseconds, longest)) * 62_500)
    }

    /// Whether the timer has come to its end.
    static var isOver: Bool { probe_load(apic + 0x390) == 0 }
}
