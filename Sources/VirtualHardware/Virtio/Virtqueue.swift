import Synchronization

/// The device's side of a split virtqueue (virtio 1.2, 2.7).
///
/// Everything in it was written by the guest, who may change it at any time: rings are checked once to lie in RAM, each
/// descriptor is read once and then checked, and whatever cannot be is an error that stops the device, never more.
/// It belongs to one thread at a time.
public struct Virtqueue: @unchecked Sendable {
    // Unchecked because of the pointers into guest memory, which `memory` keeps valid.

    /// Where the driver put a queue, and how large it is.
    public struct Layout: Sendable, Hashable {
        public var size: UInt16 = 0
        public var descriptors: UInt64 = 0
        public var available: UInt64 = 0
        public var used: UInt64 = 0
    }

    private struct Descriptor {
        var address: UInt64
        var length: UInt32
        var flags: UInt16
        var next: UInt16

        static let hasNext: UInt16 = 1
        static let isWritable: UInt16 = 2
        static let isIndirect: UInt16 = 4
    }

    /// The most bytes of one chain: more than any request of ours needs.
    public static let chainLimit: UInt64 = 64 << 20

    private let memory: GuestMemory
    private let size: UInt16
    private let descriptors: UnsafeMutableRawBufferPointer
    private let available: UnsafeMutableRawBufferPointer
    private let used: UnsafeMutableRawBufferPointer
    private let hasEventIndex: Bool
    private var nextAvailable: UInt16 = 0
    private var nextUsed: UInt16 = 0
    /// `nextUsed` when the driver was last told.
    private var signalledUsed: UInt16 = 0

    /// Takes a queue into use. Throws what is wrong with where the driver put it.
    public init(
        _ layout: Layout, limit: UInt16, memory: GuestMemory, hasEventIndex: Bool
    ) throws(VirtqueueError) {
        let size = UInt64(layout.size)
        guard size > 0, size <= UInt64(limit), size & (size - 1) == 0 else { throw .badSize(layout.size) }
        guard layout.descriptors % 16 == 0, layout.available % 2 == 0, layout.used % 4 == 0 else {
            throw .misaligned
        }
        do throws(GuestMemoryError) {
            descriptors = try memory.bytes(at: layout.descriptors, count: 16 * size)
            available = try memory.bytes(at: layout.available, count: 6 + 2 * size)
            used = try memory.bytes(at: layout.used, count: 6 + 8 * size)
        } catch {
            throw .outsideMemory(error)
        }
        self.memory = memory
        self.size = layout.size
        self.hasEventIndex = hasEventIndex
    }

    /// The next chain that the driver made available; nil when there is none.
    public mutating func next() throws(VirtqueueError) -> DescriptorChain? {
        let index = available.loadUnaligned(fromByteOffset: 2, as: UInt16.self)
        let waiting = index &- nextAvailable
        guard waiting > 0 else { return nil }
        guard waiting <= size else { throw .tooManyAvailable(waiting) }
        // What the driver wrote before it raised the index must be read after it.
        atomicMemoryFence(ordering: .acquiring)
        let head = available.loadUnaligned(fromByteOffset: 4 + 2 * Int(nextAvailable % size), as: UInt16.self)
        let chain = try chain(from: head)
        nextAvailable &+= 1
        return chain
    }

    private func chain(from head: UInt16) throws(VirtqueueError) -> DescriptorChain {
        var chain = DescriptorChain(head: head)
        var index = head
        var total: UInt64 = 0
        // No chain is longer than the queue, so a loop ends.
        for _ in 0..<size {
            guard index < size else { throw .badDescriptor(index) }
            let descriptor = descriptors.loadUnaligned(fromByteOffset: 16 * Int(index), as: Descriptor.self)
            guard descriptor.flags & Descriptor.isIndirect == 0 else { throw .indirect }
            total += UInt64(descriptor.length)
            guard total <= Self.chainLimit else { throw .tooLong }
            let bytes: UnsafeMutableRawBufferPointer
            do throws(GuestMemoryError) {
                bytes = try memory.bytes(at: descriptor.address, count: UInt64(descriptor.length))
            } catch {
                throw .outsideMemory(error)
            }
            if descriptor.flags & Descriptor.isWritable != 0 {
                chain.writable.append(bytes)
            } else {
                guard chain.writable.isEmpty else { throw .readableAfterWritable }
                chain.readable.append(UnsafeRawBufferPointer(bytes))
            }
            guard descriptor.flags & Descriptor.hasNext != 0 else { return chain }
            index = descriptor.next
        }
        throw .loop
    }

    /// Gives a chain back to the driver, with `written` bytes in its writable part.
    public mutating func finish(_ chain: DescriptorChain, written: UInt32) {
        let place = 4 + 8 * Int(nextUsed % size)
        used.storeBytes(of: UInt32(chain.head), toByteOffset: place, as: UInt32.self)
        used.storeBytes(of: written, toByteOffset: place + 4, as: UInt32.self)
        nextUsed &+= 1
        // The element must be there before the index says so.
        atomicMemoryFence(ordering: .releasing)
        used.storeBytes(of: nextUsed, toByteOffset: 2, as: UInt16.self)
    }

    /// Whether the driver wants to be told of what was finished since it was last told.
    public mutating func takeInterrupt() -> Bool {
        guard nextUsed != signalledUsed else { return false }
        // Our index must be written before we read what the driver wants to hear of.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        let before = signalledUsed
        signalledUsed = nextUsed
        guard hasEventIndex else { return available.loadUnaligned(as: UInt16.self) & 1 == 0 }
        let event = available.loadUnaligned(fromByteOffset: 4 + 2 * Int(size), as: UInt16.self)
        return nextUsed &- event &- 1 < nextUsed &- before
    }

    /// Asks the driver to ring for the next chain. True when one has come meanwhile, which it may not ring for.
    public mutating func enableDoorbell() -> Bool {
        if hasEventIndex {
            used.storeBytes(of: nextAvailable, toByteOffset: 4 + 8 * Int(size), as: UInt16.self)
        } else {
            used.storeBytes(of: 0, as: UInt16.self)
        }
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        return available.loadUnaligned(fromByteOffset: 2, as: UInt16.self) != nextAvailable
    }

    /// Asks the driver not to ring while we are busy with the queue anyway. With event indexes that is the default.
    public mutating func disableDoorbell() {
        if !hasEventIndex { used.storeBytes(of: 1, as: UInt16.self) }
    }
}

/// One request of a driver: buffers to read, then buffers to write, all in guest memory.
public struct DescriptorChain: @unchecked Sendable {
    // Unchecked because of the buffers, which guest memory keeps valid.

    /// Its first descriptor.
    public let head: UInt16
    /// What the driver wrote for the device.
    public internal(set) var readable: [UnsafeRawBufferPointer] = []
    /// Where the device writes.
    public internal(set) var writable: [UnsafeMutableRawBufferPointer] = []

    init(head: UInt16) { self.head = head }

    /// Bytes to read.
    public var readableCount: Int { readable.reduce(0) { $0 + $1.count } }
    /// Bytes that may be written.
    public var writableCount: Int { writable.reduce(0) { $0 + $1.count } }
}

/// How a driver broke its queue.
public enum VirtqueueError: Error, Sendable, Hashable {
    case badSize(UInt16)
    case misaligned
    case outsideMemory(GuestMemoryError)
    case tooManyAvailable(UInt16)
    case badDescriptor(UInt16)
    case indirect
    case tooLong
    case readableAfterWritable
    case loop
}
