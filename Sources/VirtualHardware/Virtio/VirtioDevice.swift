import HostSystem

/// Features that device and driver agree on (virtio 1.2, chapter 6). Devices add their own, bits 0 to 23.
package struct VirtioFeatures: OptionSet, Sendable, Hashable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Both sides say exactly when they want to be notified.
    package static let eventIndex = VirtioFeatures(rawValue: 1 << 29)
    /// Both sides follow virtio 1.0 or later; nothing older is spoken here.
    package static let version1 = VirtioFeatures(rawValue: 1 << 32)
}

/// A virtio device behind any transport.
///
/// `activate` and `reset` are called in turns and never at once; `notify` comes on any thread, at any time.
package protocol VirtioDevice: AnyObject, Sendable {
    /// What it is (virtio 1.2, chapter 5): 1 network, 2 block, 4 entropy.
    var identifier: UInt32 { get }
    /// What it offers beyond `version1` and `eventIndex`, which the transport adds.
    var features: VirtioFeatures { get }
    /// The most entries of each of its queues: powers of two.
    var queueSizes: [UInt16] { get }
    /// Its configuration space, which the driver may only read.
    var configuration: [UInt8] { get }

    /// What of it must be the same where a snapshot of the machine goes on, because drivers read it once.
    var lastingConfiguration: [UInt8] { get }

    /// The driver is ready: the device may use the queues from now on, where their positions are. Must not block.
    func activate(_ driver: VirtioDriver)

    /// The driver made buffers available. Must not block; without an active driver nothing happens.
    func notify(queue: Int)

    /// Lets go of the queues. On return the device touches no guest memory any more, and has none of the driver's buffers: what
    /// was not served is next when the same driver is activated again. Safe to repeat.
    func reset()

    /// The descriptor whose signal is as good as `notify(queue:)`; nil when there is none, so a caller signals with its own.
    func doorbell(queue: Int) -> EventDescriptor?
}

extension VirtioDevice {
    package var lastingConfiguration: [UInt8] { configuration }
    package func doorbell(queue: Int) -> EventDescriptor? { nil }
}

/// The guest's driver as a device sees it between `activate` and `reset`.
package struct VirtioDriver: Sendable {
    /// What both sides agreed on.
    package let features: VirtioFeatures
    /// One for each of `queueSizes`; nil where the driver set up none.
    package let queues: [Virtqueue?]
    /// How to speak to it.
    package let signals: VirtioSignals

    /// The queue with this number; nil when the driver set up none.
    package func queue(_ number: Int) -> Virtqueue? {
        queues.indices.contains(number) ? queues[number] : nil
    }

    /// Shows the driver the completed buffers of a queue, with an interrupt where it wants one.
    package func publish(_ queue: Virtqueue) {
        if queue.publish() { signals.usedBuffers() }
    }

    /// Hands `body` a queue's next chains, at most `limit`, and shows the driver those that it completed. True when there may be
    /// more; false when there are none, or the driver broke the rules, which it is told.
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
