import CLinux
import Glibc

/// Buffers that the driver lent to the device for one request.
package struct DescriptorChain {
    /// The first descriptor's number: what `complete` gives back.
    package let head: UInt16
    /// What the device reads, first.
    package let readable: GuestSegments
    /// What the device writes.
    package let writable: GuestSegments
}

/// Where a driver put a queue's rings.
package struct VirtqueueLayout: Sendable, Hashable {
    package var size: UInt16
    /// Guest-physical address of the descriptor table.
    package var descriptors: UInt64 = 0
    /// Of the ring that the driver writes.
    package var available: UInt64 = 0
    /// Of the ring that the device writes.
    package var used: UInt64 = 0
}

/// The device's side of a split virtqueue (virtio 1.2, 2.7): takes chains of buffers and gives them back used.
///
/// All that is read from the rings is hostile and changes while we look: every value is read once, then checked. After an
/// error the queue gives out nothing more until its device is reset.
///
/// One thread uses it at a time; the device that owns it sees to that.
package final class Virtqueue: @unchecked Sendable {
    // Unchecked because of the raw pointers, which stay valid as long as `memory`, and because the owner has the lock.

    /// One transfer of Linux moves no more bytes (`MAX_RW_COUNT`); a driver's requests stay far below.
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

    /// The available entry to take next, the used entry to fill next, and how far the driver knows of those.
    private var nextAvailable: UInt16 = 0
    private var nextUsed: UInt16 = 0
    private var publishedUsed: UInt16 = 0
    private var isBroken = false

    /// How far a device has come with a queue, while it has none of its buffers.
    package struct Position: Sendable, Hashable {
        /// The available entry to take next.
        package var nextAvailable: UInt16 = 0
        /// The used entry to fill next.
        package var nextUsed: UInt16 = 0
        /// Whether the driver broke the rules.
        package var isBroken = false
    }

    /// Checks where the driver put the rings and remembers them; goes on at `position`.
    ///
    /// Throws when they are not aligned, not wholly in RAM, or not of a size that is a power of two up to 32768.
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

    /// How far the device has come; all that it completed is published.
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

    /// The next chain that the driver made available; nil when there is none, or the queue is broken.
    ///
    /// Throws, once, when the driver broke the rules; the queue is broken then.
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

    /// Undoes the last `next`, whose chain was not completed: it is the next one again.
    package func putBack() { nextAvailable &-= 1 }

    // MARK: Giving them back

    /// Gives a chain back with `written` bytes in its writable part. The driver learns of it with `publish`.
    package func complete(_ head: UInt16, written: Int) {
        let entry = used + 4 + 8 * Int(nextUsed & (size &- 1))
        vmlab_store32(entry, UInt32(head))
        vmlab_store32(entry + 4, UInt32(clamping: written))
        nextUsed &+= 1
    }

    /// Shows the driver what was completed since the last time; true when it wants to be interrupted for it (2.7.7).
    package func publish() -> Bool {
        let former = publishedUsed
        guard nextUsed != former else { return false }
        // Release: the entries are written before the index.
        vmlab_store_release16(used + 2, nextUsed)
        publishedUsed = nextUsed
        // What the driver asks for is read after that, or both sides could miss each other.
        vmlab_full_fence()
        guard hasEventIndex else { return vmlab_load_acquire16(available) & 1 == 0 }
        let event = vmlab_load_acquire16(available + 4 + 2 * Int(size))
        return nextUsed &- event &- 1 < nextUsed &- former
    }

    // MARK: Being told of new ones

    /// Asks the driver to keep quiet about new buffers, as they will be looked for anyway. It may still speak (2.7.10).
    package func disableNotifications() {
        // With the event index a driver speaks only when it passes the entry we named last, which lies behind by now.
        if !hasEventIndex { vmlab_store_release16(used, 1) }
    }

    /// Asks the driver to tell of the next buffer. True when there are some already, of which it may not tell.
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
