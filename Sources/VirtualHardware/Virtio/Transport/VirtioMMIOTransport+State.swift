import Synchronization

extension VirtioMMIOTransport: StatefulDevice {
    /// Registers, what is pending, and how far the device has come with each queue.
    package var stateForm: String { "virtio-mmio-\(device.identifier)/1" }

    /// Detaches the device from its queues; waits for transfers under way.
    package func pause() { device.reset() }

    package func resume() {
        state.withLock { state in
            if let driver = state.driver { device.activate(driver) }
        }
    }

    /// Saves registers and positions, but not what the device stores.
    package func save(to encoder: inout StateEncoder) throws(StateError) {
        encoder.add(device.lastingConfiguration)
        state.withLock { state in
            state.registers.save(to: &encoder)
            encoder.add(signals.pending)
            encoder.add(signals.needsReset)
            encoder.add(state.driver != nil)
            for queue in state.driver?.queues ?? [] {
                let position = queue?.position ?? Virtqueue.Position()
                encoder.add(position.nextAvailable)
                encoder.add(position.nextUsed)
                encoder.add(position.isBroken)
            }
        }
    }

    /// Restores them; checks at once for available buffers. Throws when what drivers rely on differs, such as a disk's size.
    package func restore(from decoder: inout StateDecoder) throws(StateError) {
        guard try decoder.bytes() == device.lastingConfiguration else {
            throw StateError("the device is configured otherwise, for example a disk of another size")
        }
        var registers = Self.freshRegisters(device)
        try registers.restore(from: &decoder)
        let pending: UInt32 = try decoder.number()
        let needsReset = try decoder.truth()
        var positions: [Virtqueue.Position]?
        if try decoder.truth() {
            positions = []
            for _ in device.queueSizes {
                var position = Virtqueue.Position()
                position.nextAvailable = try decoder.number()
                position.nextUsed = try decoder.number()
                position.isBroken = try decoder.truth()
                positions?.append(position)
            }
        }
        device.reset()
        state.withLock { state in
            state.registers = registers
            state.driver = nil
            signals.restore(pending: pending, needsReset: needsReset)
            if let positions { activate(&state, at: positions) }
        }
    }
}
