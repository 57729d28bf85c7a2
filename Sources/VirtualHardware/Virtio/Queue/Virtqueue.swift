import CLinux
import Glibc

/// A descriptor chain: the buffers of one request.
package struct DescriptorChain {
    /// The index of the head descriptor, which `complete` returns.
    package let head: UInt16
    /// The device-readable part, which comes first.
    package let readable: GuestSegments
    /// The device-writable part.
    package let writable: GuestSegments
}

/// The addresses of a queue's rings, set by the driver.
package struct VirtqueueLayout: Sendable, Hashable {
    package var size: UInt16
    /// Guest-physical address of the descriptor table.
    package var descriptors: UInt64 = 0
    /// Guest-physical address of the available ring.
    package var available: UInt64 = 0
    /// Guest-physical address of the used ring.
    package var used: UInt64 = 0
}

/// The device side of a split virtqueue (virtio 1.2, 2.7): takes available chains and returns them used. Ring contents are
/// untrusted and may change at any time: every value is read once, then checked. After an error the queue returns no chains until
/// its device is reset. Used by one thread at a time, which the owning device ensures.
package final class Virtqueue: @unchecked Sendable {
    // Unchecked because of the raw pointers, which stay valid as long as `memory`, and because the owner has the lock.

    /// Linux's limit of one transfer in bytes (`MAX_RW_COUNT`); a driver's requests stay far below.
    static let mostBytes = 0x7fff_f000

    private struct DescriptorFlags {
        static let next: UInt64 = 1
        static let write: UInt64 = 2
        static let indirect: UInt64 = 4
    }

    /// Entries, a power of two.
    package let size: UInt16
    private let memory: GuestMemory
    private let descriptors: UnsafeMutableRawPointer
    private let available: UnsafeMutableRawPointer
    private let used: UnsafeMutableRawPointer
    private let hasEventIndex: Bool

    /// The next available entry, the next used entry, and the last index published to the driver.
    private var nextAvailable: UInt16 = 0
    private var nextUsed: UInt16 = 0
    private var publishedUsed: UInt16 = 0
    private var isBroken = false

    /// A device's position in a queue while it holds no buffers.
    package struct Position: Sendable, Hashable {
        /// The available entry to take next.
        package var nextAvailable: UInt16 = 0
        /// The used entry to fill next.
        package var nextUsed: UInt16 = 0
        /// Whether the driver violated the protocol.
        package var isBroken = false
    }

    /// Checks and stores the ring addresses; continues at `position`. Throws when they are misaligned, not entirely in RAM, or not
    /// of a size that is a power of two up to 32768.
    package init(
        _ layout: VirtqueueLayout, in memory: GuestMemory, eventIndex: Bool, position: Position = Position()
    ) throws(VirtqueueError) {
        let size = layout.size
        guard size > 0, size <= 32768, size & (size &- 1) == 0 else { throw .size(size) }
        self.size = size
        self.memory = memory
        hasEventIndex = eventIndex
        let entries = UInt64(size)
        descriptors = try Self.ring(at: layout.descriptors, count: 16 * entries, alignment: 16, memory)
        available = try Self.ring(at: layout.available, count: 6 + 2 * entries, alignment: 2, memory)
        used = try Self.ring(at: layout.used, count: 6 + 8 * entries, alignment: 4, memory)
        nextAvailable = position.nextAvailable
        nextUsed = position.nextUsed
        publishedUsed = position.nextUsed
        isBroken = position.isBroken
    }

    /// The device's position; everything it completed is published.
    package var position: Position {
        var position = Position()
        (position.nextAvailable, position.nextUsed, position.isBroken) = (nextAvailable, nextUsed, isBroken)
        return position
    }

    private static func ring(
        at address: UInt64, count: UInt64, alignment: UInt64, _ memory: GuestMemory
    ) throws(VirtqueueError) -> UnsafeMutableRawPointer {
        guard address % alignment == 0 else { throw .misaligned(address: address) }
        return try buffer(at: address, count: count, memory).1
    }

    private static func buffer(
        at address: UInt64, count: UInt64, _ memory: GuestMemory
    ) throws(VirtqueueError) -> (UnsafeMutableRawBufferPointer, UnsafeMutableRawPointer) {
        do throws(GuestMemoryError) {
            let bytes = try memory.bytes(at: address, count: count)
            guard let base = bytes.baseAddress else { throw GuestMemoryError(address: address, count: count) }
            return (bytes, base)
        } catch {
            throw .outside(error)
        }
    }

    // MARK: Taking buffers

    /// The next available chain; nil when there is none or the queue is broken. A protocol violation throws once and breaks it.
    package func next() throws(VirtqueueError) -> DescriptorChain? {
        guard !isBroken else { return nil }
        do throws(VirtqueueError) {
            return try takeChain()
        } catch {
            isBroken = true
            throw error
        }
    }

    private func takeChain() throws(VirtqueueError) -> DescriptorChain? {
        // Acquire: the entries behind this index are read after it.
        let waiting = vmlab_load_acquire16(available + 2) &- nextAvailable
        guard waiting != 0 else { return nil }
        guard waiting <= size else { throw .tooManyAvailable(waiting) }
        let head = vmlab_load_acquire16(available + 4 + 2 * Int(nextAvailable & (size &- 1)))
        nextAvailable &+= 1

        var readable = GuestSegments()
        var writable = GuestSegments()
        var index = head
        for _ in 0..<size {
            guard index < size else { throw .noSuchDescriptor(index) }
            // Both words of the descriptor, each read exactly once.
            let place = descriptors + 16 * Int(index)
            let address = vmlab_load64(place)
            let rest = vmlab_load64(place + 8)
            let flags = rest >> 32 & 0xffff
            guard flags & DescriptorFlags.indirect == 0 else { throw .indirect(head: head) }
            let (bytes, _) = try Self.buffer(at: address, count: rest & 0xffff_ffff, memory)
            guard bytes.count <= Self.mostBytes - readable.count - writable.count else { throw .tooLong(head: head) }
            if flags & DescriptorFlags.write != 0 {
                writable.append(bytes)
            } else {
                guard writable.count == 0 else { throw .readableAfterWritable(head: head) }
                readable.append(bytes)
            }
            guard flags & DescriptorFlags.next != 0 else {
                return DescriptorChain(head: head, readable: readable, writable: writable)
            }
            index = UInt16(truncatingIfNeeded: rest >> 48)
        }
        throw .endlessChain(head: head)
    }

    /// Undoes the last `next`, whose chain was not completed: `next` returns it again.
    package func putBack() { nextAvailable &-= 1 }

    // MARK: Returning buffers

    /// Marks a chain used with `written` bytes in its writable part. `publish` makes it visible to the driver.
    package func complete(_ head: UInt16, written: Int) {
        let entry = used + 4 + 8 * Int(nextUsed & (size &- 1))
        vmlab_store32(entry, UInt32(head))
        vmlab_store32(entry + 4, UInt32(clamping: written))
        nextUsed &+= 1
    }

    /// Publishes completed chains to the driver; true when it requests an interrupt (2.7.7).
    package func publish() -> Bool {
        let former = publishedUsed
        guard nextUsed != former else { return false }
        // Release: the entries are written before the index.
        vmlab_store_release16(used + 2, nextUsed)
        publishedUsed = nextUsed
        // The driver's request is read after that, or both sides could miss each other.
        vmlab_full_fence()
        guard hasEventIndex else { return vmlab_load_acquire16(available) & 1 == 0 }
        let event = vmlab_load_acquire16(available + 4 + 2 * Int(size))
        return nextUsed &- event &- 1 < nextUsed &- former
    }

    // MARK: Notifications

    /// Suppresses available-buffer notifications, because the device polls anyway. The driver may still send some (2.7.10).
    package func disableNotifications() {
        // With the event index the driver notifies only when it passes the entry we named last, which it already has.
        if !hasEventIndex { vmlab_store_release16(used, 1) }
    }

    /// Enables the notification of the next buffer. True when some are already available, which it may not cover.
    package func enableNotifications() -> Bool {
        if hasEventIndex {
            vmlab_store_release16(used + 4 + 8 * Int(size), nextAvailable)
        } else {
            vmlab_store_release16(used, 0)
        }
        vmlab_full_fence()
        return !isBroken && vmlab_load_acquire16(available + 2) != nextAvailable
    }
}
