import Synchronization

/// A virtio device's registers in memory (virtio 1.2, 4.2.2).
public final class VirtioMMIOTransport: BusDevice {
    /// Where the driver rings, with the number of the queue as the value.
    public static let queueNotify: UInt64 = 0x50

    private enum Register {
        static let magic: UInt64 = 0x000
        static let version: UInt64 = 0x004
        static let kind: UInt64 = 0x008
        static let vendor: UInt64 = 0x00c
        static let deviceFeatures: UInt64 = 0x010
        static let deviceFeaturesSelect: UInt64 = 0x014
        static let driverFeatures: UInt64 = 0x020
        static let driverFeaturesSelect: UInt64 = 0x024
        static let queueSelect: UInt64 = 0x030
        static let queueSizeMax: UInt64 = 0x034
        static let queueSize: UInt64 = 0x038
        static let queueReady: UInt64 = 0x044
        static let interruptStatus: UInt64 = 0x060
        static let interruptAcknowledge: UInt64 = 0x064
        static let status: UInt64 = 0x070
        static let queueDescriptors: UInt64 = 0x080
        static let queueDriver: UInt64 = 0x090
        static let queueDevice: UInt64 = 0x0a0
        static let sharedMemory: ClosedRange<UInt64> = 0x0ac...0x0bc
        static let generation: UInt64 = 0x0fc
        static let configuration: UInt64 = 0x100
    }

    private enum Status {
        static let acknowledged: UInt32 = 1
        static let driver: UInt32 = 2
        static let driverReady: UInt32 = 4
        static let featuresReady: UInt32 = 8
        static let needsReset: UInt32 = 64
        static let failed: UInt32 = 128
    }

    private struct Queue {
        var layout = Virtqueue.Layout()
        var isReady = false
    }

    private struct State {
        var status: UInt32 = 0
        var deviceFeaturesSelect: UInt32 = 0
        var driverFeaturesSelect: UInt32 = 0
        var driverFeatures: UInt64 = 0
        var queueSelect = 0
        var queues: [Queue]
        /// The device is active, and whether it is on its way there.
        var isActive = false
    }

    private let device: any VirtioDevice
    private let memory: GuestMemory
    private let interrupt: VirtioInterrupt
    private let features: UInt64
    private let state: Mutex<State>

    /// Puts a device behind registers. `interrupt` is its line into the guest.
    public init(device: any VirtioDevice, memory: GuestMemory, interrupt: any InterruptLine) {
        self.device = device
        self.memory = memory
        self.interrupt = VirtioInterrupt(line: interrupt)
        features = device.features | VirtioFeature.eventIndex | VirtioFeature.version1
        state = Mutex(State(queues: device.queueSizes.map { _ in Queue() }))
    }

    /// The driver rang for a queue.
    public func notify(queue: Int) {
        let isActive = state.withLock { $0.isActive && $0.queues.indices.contains(queue) }
        if isActive, !interrupt.needsReset { device.notify(queue: queue) }
    }

    /// Back to power-on.
    public func reset() {
        // Not under the lock: the device waits for its own threads, which may want to signal.
        let wasActive = state.withLock { state in
            defer { state = State(queues: state.queues.map { _ in Queue() }) }
            return state.isActive
        }
        if wasActive { device.reset() }
        interrupt.reset()
    }

    public func read(at offset: UInt64, width: Int) -> UInt64 {
        if offset >= Register.configuration { return configuration(at: offset - Register.configuration, width: width) }
        guard width == 4, offset % 4 == 0 else { return .max }
        return state.withLock { state in UInt64(read(offset, state)) }
    }

    private func read(_ offset: UInt64, _ state: State) -> UInt32 {
        let selected = state.queues.indices.contains(state.queueSelect) ? state.queues[state.queueSelect] : nil
        switch offset {
        case Register.magic: return 0x7472_6976
        case Register.version: return 2
        case Register.kind: return device.kind
        // "VMLB"
        case Register.vendor: return 0x424c_4d56
        case Register.deviceFeatures:
            return state.deviceFeaturesSelect < 2
                ? UInt32(truncatingIfNeeded: features >> (32 * UInt64(state.deviceFeaturesSelect))) : 0
        case Register.queueSizeMax: return selected == nil ? 0 : UInt32(device.queueSizes[state.queueSelect])
        case Register.queueReady: return selected?.isReady == true ? 1 : 0
        case Register.interruptStatus: return interrupt.status
        case Register.status: return state.status | (interrupt.needsReset ? Status.needsReset : 0)
        case Register.sharedMemory: return .max
        case Register.generation: return 0
        default: return 0
        }
    }

    /// Configuration never changes, so its generation does not either.
    private func configuration(at offset: UInt64, width: Int) -> UInt64 {
        let bytes = device.configuration
        guard offset < UInt64(bytes.count) else { return 0 }
        var value: UInt64 = 0
        for (index, byte) in bytes[Int(offset)...].prefix(width).enumerated() { value |= UInt64(byte) << (8 * index) }
        return value
    }

    public func write(_ value: UInt64, at offset: UInt64, width: Int) {
        guard width == 4, offset % 4 == 0, offset < Register.configuration else { return }
        let value = UInt32(truncatingIfNeeded: value)
        switch offset {
        case Self.queueNotify: notify(queue: Int(value))
        case Register.interruptAcknowledge: interrupt.acknowledge(value)
        case Register.status: setStatus(value)
        default: state.withLock { state in write(value, offset, &state) }
        }
    }

    private func write(_ value: UInt32, _ offset: UInt64, _ state: inout State) {
        switch offset {
        case Register.deviceFeaturesSelect: state.deviceFeaturesSelect = value
        case Register.driverFeaturesSelect: state.driverFeaturesSelect = value
        case Register.driverFeatures:
            // Only while features are negotiated.
            guard state.status & (Status.driver | Status.featuresReady) == Status.driver,
                state.driverFeaturesSelect < 2
            else { return }
            let shift = 32 * UInt64(state.driverFeaturesSelect)
            state.driverFeatures = state.driverFeatures & ~(0xffff_ffff << shift) | UInt64(value) << shift
        case Register.queueSelect: state.queueSelect = Int(value)
        default: writeQueue(value, offset, &state)
        }
    }

    /// Queues are set up between the negotiation and the driver's being ready, each until it is ready itself.
    private func writeQueue(_ value: UInt32, _ offset: UInt64, _ state: inout State) {
        guard state.status & (Status.featuresReady | Status.driverReady) == Status.featuresReady,
            state.queues.indices.contains(state.queueSelect)
        else { return }
        var queue = state.queues[state.queueSelect]
        defer { state.queues[state.queueSelect] = queue }
        if offset == Register.queueReady {
            queue.isReady = value & 1 == 1
            return
        }
        guard !queue.isReady else { return }
        func set(_ address: inout UInt64, high: Bool) {
            address = high ? address & 0xffff_ffff | UInt64(value) << 32 : address & ~0xffff_ffff | UInt64(value)
        }
        switch offset {
        case Register.queueSize: queue.layout.size = UInt16(exactly: value) ?? 0
        case Register.queueDescriptors: set(&queue.layout.descriptors, high: false)
        case Register.queueDescriptors + 4: set(&queue.layout.descriptors, high: true)
        case Register.queueDriver: set(&queue.layout.available, high: false)
        case Register.queueDriver + 4: set(&queue.layout.available, high: true)
        case Register.queueDevice: set(&queue.layout.used, high: false)
        case Register.queueDevice + 4: set(&queue.layout.used, high: true)
        default: break
        }
    }

    /// The driver's progress (3.1.1): bits are only added, and zero resets.
    private func setStatus(_ value: UInt32) {
        guard value != 0 else { return reset() }
        state.withLock { state in
            let added = value & ~state.status & 0xff & ~Status.needsReset
            guard value & state.status == state.status else { return }
            if added & Status.failed != 0 { state.status |= Status.failed }
            if added & Status.acknowledged != 0 { state.status |= Status.acknowledged }
            if added & Status.driver != 0, state.status & Status.acknowledged != 0 { state.status |= Status.driver }
            if added & Status.featuresReady != 0, state.status & Status.driver != 0,
                state.driverFeatures & ~features == 0, state.driverFeatures & VirtioFeature.version1 != 0
            {
                state.status |= Status.featuresReady
            }
            if added & Status.driverReady != 0, state.status & Status.featuresReady != 0 { activate(&state) }
        }
    }

    private func activate(_ state: inout State) {
        state.status |= Status.driverReady
        let hasEventIndex = state.driverFeatures & VirtioFeature.eventIndex != 0
        do throws(VirtqueueError) {
            var queues: [Virtqueue?] = []
            for (number, queue) in state.queues.enumerated() {
                guard queue.isReady else {
                    queues.append(nil)
                    continue
                }
                queues.append(
                    try Virtqueue(
                        queue.layout, limit: device.queueSizes[number], memory: memory, hasEventIndex: hasEventIndex))
            }
            state.isActive = true
            device.activate(queues, features: state.driverFeatures, interrupt: interrupt)
        } catch {
            interrupt.fail()
        }
    }
}
