@testable import VirtualHardware

/// A buffer in guest memory.
struct ScriptedBuffer {
    var address: UInt64
    var count: UInt32
    var isWritable: Bool
}

/// A chain that the device has given back.
struct UsedElement: Equatable {
    let head: UInt32
    let written: UInt32
}

/// The driver's side of a split virtqueue, which may also do everything wrong.
final class ScriptedQueue {
    let layout: VirtqueueLayout
    private let memory: GuestMemory
    private let eventIndex: Bool
    private var free: [UInt16]
    private var lengths: [UInt16: [UInt16]] = [:]
    private(set) var available: UInt16 = 0
    private var notified: UInt16 = 0
    private(set) var seen: UInt16 = 0

    init(_ layout: VirtqueueLayout, _ memory: GuestMemory, eventIndex: Bool) {
        self.layout = layout
        self.memory = memory
        self.eventIndex = eventIndex
        free = Array((0..<layout.size).reversed())
    }

    /// Writes a chain into free descriptors and makes it available; the caller has not more than the queue holds.
    func post(_ buffers: [ScriptedBuffer]) throws -> UInt16 {
        let indices = buffers.compactMap { _ in free.popLast() }
        guard indices.count == buffers.count, let head = indices.first else { throw QueueIsFull() }
        for (place, buffer) in buffers.enumerated() {
            let isLast = place == buffers.count - 1
            try describe(
                indices[place], buffer, next: isLast ? nil : indices[place + 1])
        }
        lengths[head] = indices
        try makeAvailable(head)
        return head
    }

    /// Writes one descriptor.
    func describe(_ index: UInt16, _ buffer: ScriptedBuffer, next: UInt16? = nil, flags: UInt16 = 0) throws {
        let place = layout.descriptors + 16 * UInt64(index)
        try memory.store(buffer.address, at: place)
        try memory.store(buffer.count, at: place + 8)
        try memory.store(flags | (next == nil ? 0 : 1) | (buffer.isWritable ? 2 : 0), at: place + 12)
        try memory.store(next ?? 0, at: place + 14)
    }

    /// Puts a head, which may be any number, into the available ring.
    func makeAvailable(_ head: UInt16) throws {
        try memory.store(head, at: layout.available + 4 + 2 * UInt64(available % layout.size))
        try setAvailable(available &+ 1)
    }

    /// Sets the available index, which may be any number.
    func setAvailable(_ index: UInt16) throws {
        available = index
        try memory.store(index, at: layout.available + 2)
    }

    /// Whether the device asked to be told of what was made available since the last time (2.7.10).
    func wantsNotification() throws -> Bool {
        let former = notified
        notified = available
        guard eventIndex else { return try memory.load(UInt16.self, at: layout.used) & 1 == 0 }
        let event = try memory.load(UInt16.self, at: layout.used + 4 + 8 * UInt64(layout.size))
        return available &- event &- 1 < available &- former
    }

    /// Asks for an interrupt once the device has used so many more; 0 for the very next.
    func wantInterrupt(after more: UInt16) throws {
        try memory.store(seen &+ more, at: layout.available + 4 + 2 * UInt64(layout.size))
    }

    /// Asks for no interrupts, where there is no event index.
    func setNoInterrupt(_ isSet: Bool) throws { try memory.store(UInt16(isSet ? 1 : 0), at: layout.available) }

    /// The device's index of used chains.
    func usedIndex() throws -> UInt16 { try memory.load(UInt16.self, at: layout.used + 2) }

    /// The next chain that came back; asks for an interrupt at the one after it.
    func takeUsed() throws -> UsedElement? {
        guard try usedIndex() != seen else { return nil }
        let place = layout.used + 4 + 8 * UInt64(seen % layout.size)
        let element = UsedElement(head: try memory.load(at: place), written: try memory.load(at: place + 4))
        seen &+= 1
        if eventIndex { try wantInterrupt(after: 0) }
        if let head = UInt16(exactly: element.head), let indices = lengths.removeValue(forKey: head) {
            free += indices.reversed()
        }
        return element
    }
}

/// The test posted more than the queue holds.
struct QueueIsFull: Error {}
