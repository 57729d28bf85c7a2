import HostSystem
import Testing

@testable import VirtualHardware

/// A guest's driver in a test: it goes through the registers of a transport over memory that no guest has.
final class ScriptedDriver {
    let memory: GuestMemory
    let transport: VirtioMMIOTransport
    let line: CountingLine
    private(set) var queues: [ScriptedQueue] = []
    private var nextFree: UInt64 = 0x1000

    /// A driver that has done nothing yet, in so many bytes of memory.
    init(_ device: any VirtioDevice, memory size: UInt64 = 4 << 20) throws {
        memory = try GuestMemory(ranges: [0..<size])
        line = CountingLine()
        transport = VirtioMMIOTransport(device: device, memory: memory, interrupt: line)
    }

    // MARK: Registers

    func read(_ register: VirtioRegister) -> UInt32 {
        UInt32(truncatingIfNeeded: transport.read(at: register.rawValue, width: 4))
    }

    func write(_ value: UInt32, _ register: VirtioRegister) {
        transport.write(UInt64(value), at: register.rawValue, width: 4)
    }

    var status: VirtioStatus { VirtioStatus(rawValue: read(.status)) }

    /// Adds bits to the status, as drivers do.
    func add(_ status: VirtioStatus) { write(self.status.union(status).rawValue, .status) }

    // MARK: Initialization (virtio 1.2, 3.1.1)

    /// Everything up to DRIVER_OK, with these features and all queues of at most so many entries.
    func start(_ features: VirtioFeatures = [.version1, .eventIndex], queueSize: UInt16 = 8) throws {
        negotiate(features)
        for number in transport.device.queueSizes.indices { try setUp(number, size: queueSize) }
        add(.driverOK)
    }

    /// Everything up to FEATURES_OK.
    func negotiate(_ features: VirtioFeatures) {
        write(0, .status)
        queues = []
        add(.acknowledge)
        add(.driver)
        for half in 0..<2 as Range<UInt32> {
            write(half, .driverFeaturesSelect)
            write(UInt32(truncatingIfNeeded: features.rawValue >> (32 * UInt64(half))), .driverFeatures)
        }
        add(.featuresOK)
        eventIndex = features.contains(.eventIndex)
    }

    private var eventIndex = false

    /// Makes the rings of a queue and tells the device of them.
    func setUp(_ number: Int, size: UInt16) throws {
        write(UInt32(number), .queueSelect)
        var layout = VirtqueueLayout(size: UInt16(min(UInt32(size), read(.queueSizeMax))))
        layout.descriptors = allocate(16 * Int(layout.size))
        layout.available = allocate(6 + 2 * Int(layout.size))
        layout.used = allocate(6 + 8 * Int(layout.size))
        place(layout)
        queues.append(ScriptedQueue(layout, memory, eventIndex: eventIndex))
    }

    /// Tells the device of the selected queue's rings.
    func place(_ layout: VirtqueueLayout) {
        write(UInt32(layout.size), .queueSize)
        write(UInt32(truncatingIfNeeded: layout.descriptors), .queueDescriptorsLow)
        write(UInt32(layout.descriptors >> 32), .queueDescriptorsHigh)
        write(UInt32(truncatingIfNeeded: layout.available), .queueAvailableLow)
        write(UInt32(layout.available >> 32), .queueAvailableHigh)
        write(UInt32(truncatingIfNeeded: layout.used), .queueUsedLow)
        write(UInt32(layout.used >> 32), .queueUsedHigh)
        write(1, .queueReady)
    }

    // MARK: Memory

    /// So many zero bytes, at a multiple of 16.
    func allocate(_ count: Int) -> UInt64 {
        defer { nextFree += UInt64(count + 15) / 16 * 16 }
        try? memory.write([UInt8](repeating: 0, count: count), at: nextFree)
        return nextFree
    }

    /// A buffer for the device to read, with these bytes.
    func readable(_ bytes: [UInt8]) throws -> ScriptedBuffer {
        let address = allocate(bytes.count)
        try memory.write(bytes, at: address)
        return ScriptedBuffer(address: address, count: UInt32(bytes.count), isWritable: false)
    }

    /// A buffer for the device to write.
    func writable(_ count: Int) -> ScriptedBuffer {
        ScriptedBuffer(address: allocate(count), count: UInt32(count), isWritable: true)
    }

    func bytes(_ buffer: ScriptedBuffer) throws -> [UInt8] {
        Array(try memory.bytes(at: buffer.address, count: UInt64(buffer.count)))
    }

    // MARK: Requests

    /// Makes a chain available and notifies the device if it wants that.
    @discardableResult
    func post(_ buffers: [ScriptedBuffer], to number: Int = 0) throws -> UInt16 {
        let head = try queues[number].post(buffers)
        if try queues[number].wantsNotification() { write(UInt32(number), .queueNotify) }
        return head
    }

    /// The next chain that comes back; waits for the device. Fails the test after ten seconds.
    func used(_ number: Int = 0) throws -> UsedElement {
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline {
            if let element = try queues[number].takeUsed() { return element }
            line.wait()
            _ = line.take()
            write(read(.interruptStatus), .interruptAcknowledge)
        }
        throw NothingUsed(queue: number)
    }

    /// Does a request and says how many bytes the device has written.
    func request(_ buffers: [ScriptedBuffer], on number: Int = 0) throws -> Int {
        let head = try post(buffers, to: number)
        let element = try used(number)
        #expect(element.head == UInt32(head))
        return Int(element.written)
    }
}

/// The device did not give a chain back.
struct NothingUsed: Error {
    let queue: Int
}
