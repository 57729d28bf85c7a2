import Synchronization

/// A virtio device without its transport (virtio 1.2, chapter 5): what it offers, and what it does with its queues.
///
/// A transport calls it, `notify` on the reactor's thread or a vCPU's, the others on a vCPU's.
public protocol VirtioDevice: AnyObject, Sendable {
    /// The kind of device (chapter 5).
    var kind: UInt32 { get }

    /// The features it offers beyond those of every device.
    var features: UInt64 { get }

    /// The largest size of each of its queues, a power of two.
    var queueSizes: [UInt16] { get }

    /// Its configuration space; the transport reads what part of it the driver wants.
    var configuration: [UInt8] { get }

    /// The driver is ready: from now on the queues are this device's. Those that the driver does not use are nil.
    func activate(_ queues: [Virtqueue?], features: UInt64, interrupt: VirtioInterrupt)

    /// The driver put something into a queue. Only while active; the number is one of its queues'.
    func notify(queue: Int)

    /// The driver or the machine resets it: when this returns it uses neither queues nor interrupt any more.
    func reset()
}

/// Features of every device (chapter 6).
enum VirtioFeature {
    static let eventIndex: UInt64 = 1 << 29
    static let version1: UInt64 = 1 << 32
}

/// How a device speaks to its driver: used buffers, changed configuration, and that the driver broke a queue.
public final class VirtioInterrupt: Sendable {
    private static let usedBuffer: UInt32 = 1
    private static let configurationChange: UInt32 = 2

    private let line: any InterruptLine
    private let pending = Atomic<UInt32>(0)
    private let broken = Atomic<Bool>(false)

    init(line: any InterruptLine) { self.line = line }

    /// Tells of used buffers, if the driver wants to know.
    public func signal(for queue: inout Virtqueue) {
        guard queue.takeInterrupt() else { return }
        pending.bitwiseOr(Self.usedBuffer, ordering: .sequentiallyConsistent)
        line.signal()
    }

    /// The driver broke a queue: the device needs a reset (2.1.1) and does nothing until then.
    public func fail() {
        broken.store(true, ordering: .sequentiallyConsistent)
        pending.bitwiseOr(Self.configurationChange, ordering: .sequentiallyConsistent)
        line.signal()
    }

    /// Whether the device needs a reset.
    public var needsReset: Bool { broken.load(ordering: .sequentiallyConsistent) }

    var status: UInt32 { pending.load(ordering: .sequentiallyConsistent) }

    func acknowledge(_ bits: UInt32) { pending.bitwiseAnd(~bits, ordering: .sequentiallyConsistent) }

    func reset() {
        pending.store(0, ordering: .sequentiallyConsistent)
        broken.store(false, ordering: .sequentiallyConsistent)
    }
}
