import HostSystem

/// Negotiated feature bits (virtio 1.2, chapter 6). Devices add their own, bits 0 to 23.
package struct VirtioFeatures: OptionSet, Sendable, Hashable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// VIRTIO_F_EVENT_IDX: both sides set the exact index for the next notification.
    package static let eventIndex = VirtioFeatures(rawValue: 1 << 29)
    /// VIRTIO_F_VERSION_1: virtio 1.0 or later; legacy devices are not supported.
    package static let version1 = VirtioFeatures(rawValue: 1 << 32)
}

/// A virtio device behind any transport. `activate` and `reset` alternate and never overlap; `notify` comes on any thread, any
/// time.
package protocol VirtioDevice: AnyObject, Sendable {
    /// The device type (virtio 1.2, chapter 5): 1 network, 2 block, 4 entropy.
    var identifier: UInt32 { get }
    /// Its offered features without `version1` and `eventIndex`, which the transport adds.
    var features: VirtioFeatures { get }
    /// The maximum size of each queue: powers of two.
    var queueSizes: [UInt16] { get }
    /// Its configuration space, read-only for the driver.
    var configuration: [UInt8] { get }

    /// The part that must be unchanged when a snapshot is restored, because drivers read it only once.
    var lastingConfiguration: [UInt8] { get }

    /// The driver is ready: the device may use the queues, starting at their positions. Must not block.
    func activate(_ driver: VirtioDriver)

    /// The driver made buffers available. Must not block; no effect without an active driver.
    func notify(queue: Int)

    /// Releases the queues. After return the device accesses no guest memory and holds no buffers; unserved ones are next when the
    /// same driver is activated again. Safe to repeat.
    func reset()

    /// An eventfd equivalent to `notify(queue:)`; nil if the caller must provide its own.
    func doorbell(queue: Int) -> EventDescriptor?
}

extension VirtioDevice {
    package var lastingConfiguration: [UInt8] { configuration }
    package func doorbell(queue: Int) -> EventDescriptor? { nil }
}

/// The driver as the device sees it between `activate` and `reset`.
package struct VirtioDriver: Sendable {
    package let features: VirtioFeatures
    /// One for each of `queueSizes`; nil where the driver set up none.
    package let queues: [Virtqueue?]
    package let signals: VirtioSignals

    /// The queue with this index; nil if the driver did not set it up.
    package func queue(_ number: Int) -> Virtqueue? {
        queues.indices.contains(number) ? queues[number] : nil
    }

    /// Publishes a queue's completed buffers, with an interrupt if the driver requests one.
    package func publish(_ queue: Virtqueue) {
        if queue.publish() { signals.usedBuffers() }
    }

    /// Calls `body` with a queue's next chains, at most `limit`, and publishes the completed ones. True when there may be more;
    /// false when there are none, or the driver violated the protocol, which is reported to it.
    func serve(
        _ queue: Virtqueue, atMost limit: Int, _ body: (DescriptorChain) throws(VirtqueueError) -> Void
    ) -> Bool {
        queue.disableNotifications()
        do throws(VirtqueueError) {
            for _ in 0..<limit {
                guard let chain = try queue.next() else {
                    publish(queue)
                    return queue.enableNotifications()
                }
                try body(chain)
            }
            publish(queue)
            return true
        } catch {
            publish(queue)
            signals.fail(error)
            return false
        }
    }
}
