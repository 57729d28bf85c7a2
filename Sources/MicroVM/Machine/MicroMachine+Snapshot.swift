import CKVM
import CLinux
import Glibc
import HostSystem
import KVM
import Quantities
import VirtualHardware

extension MicroMachine {
    /// Saves the machine with the contents of its `overlays`, keyed by disk number. It stays paused: `run` resumes it, unless its
    /// memory is `golden`, in the snapshot's own file.
    ///
    /// Devices are quiesced first, because they may still interrupt the guest; then come the disks, the states of the vCPUs, the
    /// interrupt controllers and the devices, and last the memory, which does not change meanwhile.
    ///
    /// Throws the reason of a failure; the machine can still resume.
    package func save(to files: SnapshotFiles, overlays: [Int: OverlayStorage], golden: GoldenMemory? = nil) throws {
        gate.holdAndWait()
        coalescing?.drain()
        for device in devices { device.pause() }
        var isOthers = false
        defer { if !isOthers { for device in devices { device.resume() } } }
        try files.write(golden.map { .kept($0) } ?? .copied(memory), overlays) { identity, layers in
            // From here on nothing may write to memory that clones may share.
            isOthers = golden != nil
            return try snapshot(identity, layers)
        }
    }

    /// The state, without the memory, of a quiesced machine.
    private func snapshot(_ identity: [UInt8], _ layers: [MachineSnapshot.Layer]) throws -> MachineSnapshot {
        let (clock, processors, controllers) = try parts.withLock { parts in
            (
                try reading(parts),
                try runners.map { try $0.withVCPU { try $0.state(modelSpecific: savedRegisters) } },
                try (0..<UInt32(3)).map { withUnsafeBytes(of: try parts.machine.interruptController($0)) { Array($0) } }
            )
        }
        return MachineSnapshot(
            identity: identity, memory: memory.regions.reduce(0) { $0 + $1.size }, features: features.leaves,
            processors: processors, clock: clock, controllers: controllers,
            devices: try devices.map { device throws(SnapshotError) in
                do throws(StateError) {
                    var encoder = StateEncoder()
                    try device.save(to: &encoder)
                    return MachineSnapshot.Device(form: device.stateForm, state: encoder.bytes)
                } catch {
                    throw SnapshotError("\(device.stateForm): \(error)")
                }
            }, layers: layers)
    }

    /// Restores the state of a saved machine, whose memory this one has; before the first `run`. The guest's clock continues from
    /// the saved time. Throws why the snapshot does not match.
    package func restore(_ saved: SavedFiles) throws(SnapshotError) {
        do {
            try restore(saved.snapshot)
        } catch {
            throw saved.files.refusal(error)
        }
    }

    /// Likewise from a snapshot. Throws why it does not match, and the kernel's error.
    func restore(_ snapshot: MachineSnapshot) throws {
        try check(snapshot)
        for (runner, state) in zip(runners, snapshot.processors) { try runner.withVCPU { try $0.setState(state) } }
        try parts.withLock { parts in
            // Before any vCPU runs: guests do not survive a clock that jumps.
            if let clock = snapshot.clock { try parts.machine.setClock(clock.nanoseconds) }
            try setTimeStamps(snapshot, parts)
            try parts.setControllers(
                snapshot.controllers.map { bytes in
                    var state = kvm_irqchip()
                    withUnsafeMutableBytes(of: &state) { $0.copyBytes(from: bytes) }
                    return state
                })
        }
        // After the interrupt controllers: devices raise their pending interrupts again.
        for (device, saved) in zip(devices, snapshot.devices) {
            do throws(StateError) {
                var decoder = StateDecoder(saved.state)
                try device.restore(from: &decoder)
                try decoder.finish()
            } catch {
                throw SnapshotError("the snapshot's \(saved.form): \(error)")
            }
        }
        noteClockWasStopped()
    }

    private func check(_ snapshot: MachineSnapshot) throws(SnapshotError) {
        try snapshot.check(processors: runners.count, memory: memory.regions.reduce(0) { $0 + $1.size })
        let (own, saved) = (features.leaves, snapshot.features)
        if own != saved {
            let different = Set(own).symmetricDifference(saved).map(\.function).min() ?? 0
            throw SnapshotError(
                "it was saved on a host with another processor or kernel: CPUID leaf 0x\(String(different, radix: 16)) differs"
            )
        }
        let forms = (own: devices.map(\.stateForm), saved: snapshot.devices.map(\.form))
        guard forms.own == forms.saved else {
            throw SnapshotError(
                "it has the devices \(forms.saved.joined(separator: ", ")), this machine "
                    + forms.own.joined(separator: ", "))
        }
        guard snapshot.controllers.count == 3,
            snapshot.controllers.allSatisfy({ $0.count == MemoryLayout<kvm_irqchip>.size })
        else { throw SnapshotError("its interrupt controllers do not match this kernel's") }
    }

    private func reading(_ parts: borrowing Parts) throws -> ClockReading? {
        try ClockReading {
            try parts.machine.clock()
        } timeStamp: {
            runners.first?.withVCPU { $0.timeStamp() }
        }
    }

    /// Set one after another, the counters would differ from the clock and from each other, which KVM would not treat as one clock.
    private func setTimeStamps(_ snapshot: MachineSnapshot, _ parts: borrowing Parts) throws {
        guard var offset = runners.first?.withVCPU({ $0.timeStampOffset() }) else { return }
        if let saved = snapshot.clock, let now = try reading(parts),
            let frequency = snapshot.processors.first?.timeStampFrequency
        {
            offset &+= saved.correction(at: now, kilohertz: frequency) ?? 0
        }
        for runner in runners { runner.withVCPU { _ = $0.setTimeStampOffset(offset) } }
    }
}

extension MachineSnapshot {
    /// Throws when this machine's configuration cannot be restored from it.
    func check(processors count: Int, memory size: UInt64) throws(SnapshotError) {
        guard memory == size else {
            throw SnapshotError("it has \(ByteCount(memory)) of memory, this machine \(ByteCount(size))")
        }
        guard processors.count == count else {
            throw SnapshotError("it has \(processors.count) processors, this machine \(count)")
        }
    }
}
