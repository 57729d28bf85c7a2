/// The registers that the driver has written: device initialization (virtio 1.2, 3.1) as a value. Writes out of turn are ignored.
struct VirtioRegisterFile {
    /// What the caller must do after a write to the status register.
    enum Action {
        case none
        case reset
        case activate
    }

    struct Queue {
        let sizeMax: UInt16
        var layout: VirtqueueLayout
        var isReady = false

        init(sizeMax: UInt16) {
            self.sizeMax = sizeMax
            layout = VirtqueueLayout(size: sizeMax)
        }
    }

    let offered: VirtioFeatures
    private(set) var accepted: VirtioFeatures = []
    private(set) var status: VirtioStatus = []
    private(set) var queues: [Queue]
    private var offeredSelect: UInt32 = 0
    private var acceptedSelect: UInt32 = 0
    private var queueSelect: UInt32 = 0

    init(offered: VirtioFeatures, queueSizes: [UInt16]) {
        self.offered = offered
        queues = queueSizes.map { Queue(sizeMax: $0) }
    }

    // MARK: Features

    /// The half of the offered features that the driver looks at.
    var offeredWord: UInt32 {
        offeredSelect < 2 ? UInt32(truncatingIfNeeded: offered.rawValue >> (32 * UInt64(offeredSelect))) : 0
    }

    /// Only while the driver may still choose.
    private mutating func accept(_ word: UInt32) {
        guard status.contains(.driver), !status.contains(.featuresOK), acceptedSelect < 2 else { return }
        let shift = 32 * UInt64(acceptedSelect)
        let others = accepted.rawValue & ~(0xffff_ffff << shift)
        accepted = VirtioFeatures(rawValue: others | UInt64(word) << shift)
    }

    // MARK: Status

    /// Bits can be set, one after the other; only writing 0 clears them.
    mutating func setStatus(_ value: UInt32) -> Action {
        guard value != 0 else { return .reset }
        // A driver writes back what it has read; this bit is the device's.
        let wanted = VirtioStatus(rawValue: value).subtracting(.needsReset)
        guard wanted.isSuperset(of: status) else { return .none }
        if wanted.contains(.acknowledge) { status.insert(.acknowledge) }
        if wanted.contains(.driver), status.contains(.acknowledge) { status.insert(.driver) }
        // A driver that sees the bit unset knows that its choice is not accepted.
        if wanted.contains(.featuresOK), status.contains(.driver), accepted.isSubset(of: offered),
            accepted.contains(.version1)
        {
            status.insert(.featuresOK)
        }
        let wasRunning = status.contains(.driverOK)
        if wanted.contains(.driverOK), status.contains(.featuresOK), !status.contains(.failed) {
            status.insert(.driverOK)
        }
        if wanted.contains(.failed) { status.insert(.failed) }
        return !wasRunning && status.contains(.driverOK) ? .activate : .none
    }

    // MARK: Queues

    /// The queue that the driver looks at; nil when the device has no such queue.
    var selected: Queue? {
        Int(exactly: queueSelect).flatMap { queues.indices.contains($0) ? queues[$0] : nil }
    }

    /// Changes the selected queue, in the one state where that is allowed.
    private mutating func configure(_ change: (inout Queue) -> Void) {
        guard status.contains(.featuresOK), !status.contains(.driverOK), let index = Int(exactly: queueSelect),
            queues.indices.contains(index)
        else { return }
        change(&queues[index])
    }

    /// Changes where the selected queue's rings are, as long as it is not declared ready.
    private mutating func place(_ change: (inout VirtqueueLayout) -> Void) {
        configure { queue in
            if !queue.isReady { change(&queue.layout) }
        }
    }

    // MARK: Writing

    /// Writes a register that acts on this value alone; ignores the others.
    mutating func write(_ value: UInt32, to register: VirtioRegister) {
        switch register {
        case .deviceFeaturesSelect: offeredSelect = value
        case .driverFeaturesSelect: acceptedSelect = value
        case .driverFeatures: accept(value)
        case .queueSelect: queueSelect = value
        case .queueSize: place { $0.size = UInt16(clamping: value) }
        case .queueReady: configure { $0.isReady = value & 1 == 1 }
        case .queueDescriptorsLow: place { $0.descriptors.setLow(value) }
        case .queueDescriptorsHigh: place { $0.descriptors.setHigh(value) }
        case .queueAvailableLow: place { $0.available.setLow(value) }
        case .queueAvailableHigh: place { $0.available.setHigh(value) }
        case .queueUsedLow: place { $0.used.setLow(value) }
        case .queueUsedHigh: place { $0.used.setHigh(value) }
        default: break
        }
    }
}

extension VirtioRegisterFile {
    func save(to encoder: inout StateEncoder) {
        encoder.add(accepted.rawValue)
        encoder.add(status.rawValue)
        for select in [offeredSelect, acceptedSelect, queueSelect] { encoder.add(select) }
        for queue in queues {
            encoder.add(queue.layout.size)
            for address in [queue.layout.descriptors, queue.layout.available, queue.layout.used] {
                encoder.add(address)
            }
            encoder.add(queue.isReady)
        }
    }

    /// Restores the registers of another such device. Throws for values that no driver could have written.
    mutating func restore(from decoder: inout StateDecoder) throws(StateError) {
        accepted = VirtioFeatures(rawValue: try decoder.number())
        status = VirtioStatus(rawValue: try decoder.number())
        guard !status.contains(.featuresOK) || accepted.isSubset(of: offered) else {
            throw StateError("its driver uses features that this device does not have")
        }
        offeredSelect = try decoder.number()
        acceptedSelect = try decoder.number()
        queueSelect = try decoder.number()
        for index in queues.indices {
            queues[index].layout.size = try decoder.number()
            queues[index].layout.descriptors = try decoder.number()
            queues[index].layout.available = try decoder.number()
            queues[index].layout.used = try decoder.number()
            queues[index].isReady = try decoder.truth()
        }
    }
}

extension UInt64 {
    fileprivate mutating func setLow(_ word: UInt32) { self = self & ~0xffff_ffff | UInt64(word) }
    fileprivate mutating func setHigh(_ word: UInt32) { self = self & 0xffff_ffff | UInt64(word) << 32 }
}
