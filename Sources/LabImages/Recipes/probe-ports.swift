/// A 16550A serial port, written by polling.
struct SerialPort {
    let base: UInt16

    /// 115200 baud, 8N1, FIFOs on; `interrupts` for received bytes.
    func start(interrupts: Bool) {
        outb(base &+ 1, 0)
        outb(base &+ 3, 0x80)
        outb(base, 1)
        outb(base &+ 1, 0)
        outb(base &+ 3, 3)
        outb(base &+ 2, 7)
        outb(base &+ 4, 0x0b)
        outb(base &+ 1, interrupts ? 1 : 0)
    }

    /// Writes; the port takes 16 bytes whenever its transmitter is empty.
    func write(_ text: Bytes) {
        var index = 0
        while index < text.count {
            if index & 15 == 0 { while inb(base &+ 5) & 0x20 == 0 {} }
            outb(base, text.start[index])
            index &+= 1
        }
    }

    func write(_ text: StaticString) { write(Bytes(text)) }

    /// The next byte received; nil when none waits.
    func read() -> UInt8? { inb(base &+ 5) & 1 == 0 ? nil : inb(base) }
}

/// The kernel's console.
let console = SerialPort(base: 0x3f8)
/// The command channel.
let channel = SerialPort(base: 0x2f8)

/// What ends the machine: the ports of vmlab's monitor, then those of QEMU's q35, which each ignores of the other.
enum Power {
    static func off() -> Never {
        outb(0x600, 0x34)
        outw(0x604, 0x2000)
        stop()
    }

    static func reset() -> Never {
        outb(0x602, 1)
        outb(0x64, 0xfe)
        stop()
    }

    static func panic(_ reason: StaticString) -> Never {
        console.write("Kernel panic - not syncing: ")
        console.write(reason)
        console.write("\n")
        outb(0x505, 1)
        stop()
    }

    private static func stop() -> Never {
        while true { probe_wait() }
    }
}
