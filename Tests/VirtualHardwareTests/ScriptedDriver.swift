import Testing
import VirtualHardware

/// A guest's virtio driver without a guest: it writes rings into guest memory and registers of a transport, sound ones
/// with `start`, `add` and `ring`, broken ones with `put`.
final class ScriptedDriver {
    /// A register of the transport (virtio 1.2, 4.2.2).
    enum Register {
        static let deviceFeatures: UInt64 = 0x10
        static let deviceFeaturesSelect: UInt64 = 0x14
        static let driverFeatures: UInt64 = 0x20
        static let driverFeaturesSelect: UInt64 = 0x24
        static let queueSelect: UInt64 = 0x30
        static let queueSizeMax: UInt64 = 0x34
        static let queueSize: UInt64 = 0x38
        static let queueReady: UInt64 = 0x44
        static let notify: UInt64 = 0x50
        static let interruptStatus: UInt64 = 0x60
        static let interruptAcknowledge: UInt64 = 0x64
        static let status: UInt64 = 0x70
    }

    /// A descriptor's flags.
    enum Flag {
        static let next: UInt16 = 1
        static let writable: UInt16 = 2
        static let indirect: UInt16 = 4
    }

    static let eventIndex: UInt64 = 1 << 29
    static let version1: UInt64 = 1 << 32

    /// One of the queues, as this driver laid it out.
    struct Queue {
        var size: UInt16
        let descriptors: UInt64
        let available: UInt64
        let used: UInt64
        var nextDescriptor: UInt16 = 0
        var availableIndex: UInt16 = 0
        var usedIndex: UInt16 = 0
    }

    /// A chain given to the device: where it may write.
    struct Request {
        let head: UInt16
        fileprivate let writable: [(address: UInt64, count: Int)]
    }

    static let ram: UInt64 = 16 << 20

    let memory: GuestMemory
    let line = CountingLine()
    let transport: VirtioMMIOTransport
    var queues: [Queue] = []
    /// What comes next of RAM.
    private var free: UInt64 = 0x10000

    init(_ device: any VirtioDevice) throws {
        memory = try GuestMemory(ranges: [0..<Self.ram])
        transport = VirtioMMIOTransport(device: device, memory: memory, interrupt: line)
    }

    // MARK: Registers

    func read(_ register: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: transport.read(at: register, width: 4)) }

    func write(_ register: UInt64, _ value: UInt32) { transport.write(UInt64(value), at: register, width: 4) }

    var status: UInt32 { read(Register.status) }
    var needsReset: Bool { status & 64 != 0 }

    /// Reset, acknowledge, driver, features. Returns whether the device agreed.
    @discardableResult
    func negotiate(_ features: UInt64 = version1) -> Bool {
        for status: UInt32 in [0, 1, 3] { write(Register.status, status) }
        for half: UInt32 in [0, 1] {
            write(Register.driverFeaturesSelect, half)
            write(Register.driverFeatures, UInt32(truncatingIfNeeded: features >> (32 * UInt64(half))))
        }
        write(Register.status, 11)
        return status & 8 != 0
    }

    /// Tells the transport of a queue.
    func setUp(_ number: Int, _ queue: Queue) {
        write(Register.queueSelect, UInt32(number))
        write(Register.queueSize, UInt32(queue.size))
        for (register, address) in [(0x80, queue.descriptors), (0x90, queue.available), (0xa0, queue.used)] {
            write(UInt64(register), UInt32(truncatingIfNeeded: address))
            write(UInt64(register) + 4, UInt32(truncatingIfNeeded: address >> 32))
        }
        write(Register.queueReady, 1)
    }

    /// Brings the device up with all its queues.
    func start(_ features: UInt64 = version1, size: UInt16 = 16) {
        negotiate(features)
        queues = []
        for number in 0... {
            write(Register.queueSelect, UInt32(number))
            guard read(Register.queueSizeMax) > 0 else { break }
            queues.append(
                Queue(
                    size: size, descriptors: allocate(Int(size) * 16), available: allocate(6 + 2 * Int(size)),
                    used: allocate(6 + 8 * Int(size))))
            setUp(number, queues[number])
        }
        write(Register.status, 15)
    }

    func ring(_ queue: Int = 0) { write(Register.notify, UInt32(queue)) }

    // MARK: Rings

    /// Zeroed memory for rings and buffers.
    func allocate(_ count: Int) -> UInt64 {
        defer { free += (UInt64(count) + 15) & ~15 }
        return free
    }

    /// Writes one descriptor.
    func put(
        _ index: UInt16, address: UInt64, count: UInt32, flags: UInt16 = 0, next: UInt16 = 0, queue: Int = 0
    ) throws {
        let place = queues[queue].descriptors + 16 * UInt64(index)
        try memory.store(address, at: place)
        try memory.store(count, at: place + 8)
        try memory.store(flags, at: place + 12)
        try memory.store(next, at: place + 14)
    }

    /// Makes a chain available.
    func publish(_ head: UInt16, queue: Int = 0) throws {
        let ring = queues[queue]
        try memory.store(head, at: ring.available + 4 + 2 * UInt64(ring.availableIndex % ring.size))
        queues[queue].availableIndex &+= 1
        try memory.store(queues[queue].availableIndex, at: ring.available + 2)
    }

    /// Writes a chain and makes it available. Descriptors are used in turn, so few at a time.
    @discardableResult
    func add(_ readable: [[UInt8]], writable: [Int] = [], queue: Int = 0) throws -> Request {
        var parts: [(address: UInt64, count: Int, flags: UInt16)] = []
        for bytes in readable {
            let address = allocate(bytes.count)
            try memory.write(bytes, at: address)
            parts.append((address, bytes.count, 0))
        }
        for count in writable { parts.append((allocate(count), count, Flag.writable)) }
        let head = queues[queue].nextDescriptor
        for (index, part) in parts.enumerated() {
            let place = queues[queue].nextDescriptor
            let next = (place + 1) % queues[queue].size
            let more = index + 1 < parts.count ? Flag.next : 0
            try put(
                place, address: part.address, count: UInt32(part.count), flags: part.flags | more, next: next,
                queue: queue)
            queues[queue].nextDescriptor = next
        }
        try publish(head, queue: queue)
        return Request(head: head, writable: parts.filter { $0.flags != 0 }.map { ($0.address, $0.count) })
    }

    /// The next chain that the device gave back.
    func takeUsed(_ queue: Int = 0) throws -> (head: UInt32, written: UInt32)? {
        let ring = queues[queue]
        guard try memory.load(UInt16.self, at: ring.used + 2) != ring.usedIndex else { return nil }
        let place = ring.used + 4 + 8 * UInt64(ring.usedIndex % ring.size)
        queues[queue].usedIndex &+= 1
        return (try memory.load(at: place), try memory.load(at: place + 4))
    }

    /// What the device wrote for a request, all its room.
    func content(_ request: Request) throws -> [UInt8] {
        try request.writable.flatMap { part in Array(try memory.bytes(at: part.address, count: UInt64(part.count))) }
    }

    /// Gives a chain, rings, and waits until it comes back. Returns the device's count and all the writable room.
    func run(
        _ readable: [[UInt8]], writable: [Int] = [], queue: Int = 0
    ) throws -> (written: UInt32, content: [UInt8]) {
        let request = try add(readable, writable: writable, queue: queue)
        ring(queue)
        var used = try takeUsed(queue)
        while used == nil {
            try #require(line.wait(), "the device did not answer")
            used = try takeUsed(queue)
        }
        write(Register.interruptAcknowledge, read(Register.interruptStatus))
        #expect(used?.head == UInt32(request.head))
        return (used?.written ?? 0, try content(request))
    }
}
