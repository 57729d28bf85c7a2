/// The local APIC, the IOAPIC and the table of handlers. All device interrupts have one handler, which only wakes.
enum Interrupts {
    private static let deviceVector: UInt32 = 0x21
    private static let timerVector: UInt32 = 0x22
    private static let spuriousVector: UInt32 = 0xff
    private static let localAPIC: UInt = 0xfee0_0000
    private static let ioapic: UInt = 0xfec0_0000

    static func start() {
        var vector: UInt = 0
        while vector < 32 {
            setHandler(vector, exceptionHandlers() &+ vector &* 16)
            vector &+= 1
        }
        setHandler(UInt(deviceVector), interruptHandler())
        setHandler(UInt(timerVector), interruptHandler())
        setHandler(UInt(spuriousVector), spuriousHandler())
        loadInterruptTable(UInt(bitPattern: Memory.interruptTable), 256 * 16)

        // The old PC's interrupt controllers stay silent.
        outb(0x21, 0xff)
        outb(0xa1, 0xff)
        writeRegister(localAPIC &+ 0xf0, 0x100 | spuriousVector)
        enable(line: 3)
    }

    /// Lets an interrupt line through, edge-triggered.
    static func enable(line: UInt32) {
        writeRegister(ioapic, 0x11 &+ line &* 2)
        writeRegister(ioapic &+ 0x10, readRegister(localAPIC &+ 0x20) & 0xff00_0000)
        writeRegister(ioapic, 0x10 &+ line &* 2)
        writeRegister(ioapic &+ 0x10, deviceVector)
    }

    /// Starts the timer: the local APIC of KVM and QEMU counts nanoseconds (undivided).
    static func startTimer(nanoseconds: UInt32) {
        writeRegister(localAPIC &+ 0x3e0, 0xb)
        writeRegister(localAPIC &+ 0x320, timerVector)
        writeRegister(localAPIC &+ 0x380, nanoseconds)
    }

    /// Whether the timer still runs.
    static var isTimerRunning: Bool { readRegister(localAPIC &+ 0x390) != 0 }

    static func stopTimer() { writeRegister(localAPIC &+ 0x380, 0) }

    /// A 64-bit interrupt gate (Intel SDM 3A, 7.14.1): this code segment, ring 0, present.
    private static func setHandler(_ vector: UInt, _ address: UInt) {
        let gate = Memory.interruptTable + Int(vector &* 2)
        let low = UInt64(address & 0xffff) | UInt64(codeSegment()) << 16 | 0x8e00 << 32
        gate[0] = low | UInt64(address >> 16 & 0xffff) << 48
        gate[1] = UInt64(address >> 32)
    }
}
