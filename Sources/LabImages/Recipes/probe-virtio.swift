/// A virtio device behind memory-mapped registers (virtio 1.2, 4.2.2), driven without any feature but VERSION_1.
struct VirtioDevice {
    private enum Register {
        static let magic: UInt = 0x00
        static let kind: UInt = 0x08
        static let driverFeatures: UInt = 0x20
        static let driverFeaturesSelect: UInt = 0x24
        static let queueSelect: UInt = 0x30
        static let queueSize: UInt = 0x38
        static let queueReady: UInt = 0x44
        static let notify: UInt = 0x50
        static let interruptAcknowledge: UInt = 0x64
        static let status: UInt = 0x70
        static let descriptors: UInt = 0x80
        static let driverRing: UInt = 0x90
        static let deviceRing: UInt = 0xa0
        static let configuration: UInt = 0x100
    }

    static let network: UInt32 = 1
    static let disk: UInt32 = 2

    private static let slots: UInt32 = 18
    /// Descriptors of a queue.
    static let queueSize: UInt = 8

    private let slot: UInt32
    private let base: UInt
    /// The device's own 64 KiB: the queues' pages first.
    let memory: UInt

    /// The device of a kind and number; nil when there is none. It must be started.
    init?(kind: UInt32, number: Int) {
        var number = number
        var slot: UInt32 = 0
        while slot < Self.slots {
            let base = 0xd000_0000 &+ UInt(slot) &* 0x1000
            if readRegister(base &+ Register.magic) == 0x7472_6976, readRegister(base &+ Register.kind) == kind {
                if number == 0 {
                    self.slot = slot
                    self.base = base
                    memory = Memory.virtio &+ UInt(slot) &* 0x1_0000
                    return
                }
                number &-= 1
            }
            slot &+= 1
        }
        return nil
    }

    /// Resets the device and gives it so many queues.
    func start(queues: UInt32) {
        write(Register.status, 0)
        write(Register.status, 1)
        write(Register.status, 3)
        write(Register.driverFeaturesSelect, 0)
        write(Register.driverFeatures, 0)
        write(Register.driverFeaturesSelect, 1)
        write(Register.driverFeatures, 1)
        write(Register.status, 11)
        var number: UInt32 = 0
        while number < queues {
            let queue = queue(number)
            queue.clear()
            write(Register.queueSelect, number)
            write(Register.queueSize, UInt32(Self.queueSize))
            writeAddress(Register.descriptors, queue.descriptors)
            writeAddress(Register.driverRing, queue.driverRing)
            writeAddress(Register.deviceRing, queue.deviceRing)
            write(Register.queueReady, 1)
            number &+= 1
        }
        Interrupts.enable(line: 6 &+ slot)
        write(Register.status, 15)
    }

    func queue(_ number: UInt32) -> Virtqueue { Virtqueue(number: number, page: memory &+ UInt(number) &* 0x1000) }

    /// A word of the device's own configuration.
    func configuration(_ offset: UInt) -> UInt32 { readRegister(base &+ Register.configuration &+ offset) }

    /// Offers a descriptor chain's head to the device and rings.
    func submit(_ head: UInt32, to queue: Virtqueue) {
        queue.offer(head)
        write(Register.notify, queue.number)
    }

    /// Lets the device interrupt again.
    func acknowledge() { write(Register.interruptAcknowledge, 3) }

    private func write(_ register: UInt, _ value: UInt32) { writeRegister(base &+ register, value) }

    private func writeAddress(_ register: UInt, _ address: UInt) {
        write(register, UInt32(truncatingIfNeeded: address))
        write(register &+ 4, 0)
    }
}

/// A split virtqueue in one page (virtio 1.2, 2.7). All accesses are of 32 bits, and the device sees them in order.
struct Virtqueue {
    let number: UInt32
    let page: UInt

    var descriptors: UInt { page }
    var driverRing: UInt { page &+ 0x100 }
    var deviceRing: UInt { page &+ 0x200 }

    func clear() {
        var offset: UInt = 0
        while offset < 0x300 {
            writeRegister(page &+ offset, 0)
            offset &+= 4
        }
    }

    /// Describes a buffer; `next` is the descriptor behind it in its chain.
    func describe(_ index: UInt, address: UInt, count: Int, isWritten: Bool, next: UInt? = nil) {
        let place = descriptors &+ index &* 16
        writeRegister(place, UInt32(truncatingIfNeeded: address))
        writeRegister(place &+ 4, 0)
        writeRegister(place &+ 8, UInt32(truncatingIfNeeded: count))
        let flags: UInt32 = (isWritten ? 2 : 0) | (next == nil ? 0 : 1)
        writeRegister(place &+ 12, flags | UInt32(truncatingIfNeeded: next ?? 0) << 16)
    }

    func offer(_ head: UInt32) {
        let ring = readRegister(driverRing)
        let index = ring >> 16
        let place = driverRing &+ 4 &+ UInt(index) % VirtioDevice.queueSize &* 2
        // Two 16-bit entries share a word.
        let shift = UInt32(place & 2) &* 8
        let word = readRegister(place & ~3) & ~(0xffff << shift)
        writeRegister(place & ~3, word | head << shift)
        writeRegister(driverRing, (index &+ 1) << 16)
    }

    /// How many chains the device has used so far, modulo 65536.
    var used: UInt32 { readRegister(deviceRing) >> 16 }

    /// The head and the length written of a used chain.
    func chain(_ index: UInt32) -> (head: UInt32, count: Int) {
        let place = deviceRing &+ 4 &+ UInt(index) % VirtioDevice.queueSize &* 8
        return (readRegister(place), Int(readRegister(place &+ 4)))
    }
}
