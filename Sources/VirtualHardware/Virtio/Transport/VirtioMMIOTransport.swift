import Synchronization

/// Puts a virtio device on the memory bus (virtio 1.2, 4.2): a page of registers and an interrupt line. Any vCPU thread may use the
/// registers. A driver that breaks the rules gets a device that needs a reset, never a trap.
package final class VirtioMMIOTransport: BusDevice {
    /// Bytes of registers.
    package static let size: UInt64 = 0x1000
    /// The notification register, to which a driver writes a queue's index: the address for KVM's ioeventfds, 4 bytes wide.
    package static let notifyOffset: UInt64 = VirtioRegister.queueNotify.rawValue
    /// "virt".
    static let magic: UInt32 = 0x7472_6976
    /// "vmlb", which no vendor has registered; the PCI vendors' list does not apply here.
    static let vendor: UInt32 = 0x626c_6d76

    struct State {
        var registers: VirtioRegisterFile
        var driver: VirtioDriver?
    }

    package let device: any VirtioDevice
    /// The device's interrupts and its driver's protocol violations.
    package let signals: VirtioSignals
    private let memory: GuestMemory
    private let configuration: [UInt8]
    let state: Mutex<State>

    package init(device: any VirtioDevice, memory: GuestMemory, interrupt: any InterruptLine) {
        self.device = device
        self.memory = memory
        signals = VirtioSignals(interrupt)
        configuration = device.configuration
        state = Mutex(State(registers: Self.freshRegisters(device)))
    }

    deinit { device.reset() }

    /// Handles an ioeventfd's signal: buffers are available in this queue. Any number, any thread; does not block.
    package func notify(queue: Int) { device.notify(queue: queue) }

    /// Resets the device as at power-on. On return it accesses no guest memory: waits for transfers under way.
    package func reset() { state.withLock { reset(&$0) } }

    private func reset(_ state: inout State) {
        device.reset()
        signals.reset()
        state.driver = nil
        state.registers = Self.freshRegisters(device)
    }

    static func freshRegisters(_ device: any VirtioDevice) -> VirtioRegisterFile {
        VirtioRegisterFile(offered: device.features.union([.version1, .eventIndex]), queueSizes: device.queueSizes)
    }

    // MARK: Registers

    /// Reads a register, 4 bytes wide, or configuration space of any width; all ones where there is nothing.
    package func read(at offset: UInt64, width: Int) -> UInt64 {
        if offset >= VirtioRegister.configuration { return readConfiguration(at: offset, width: width) }
        guard width == 4, let register = VirtioRegister(rawValue: offset), let word = read(register) else {
            return .max
        }
        return UInt64(word)
    }

    /// Nil where there is nothing to read.
    private func read(_ register: VirtioRegister) -> UInt32? {
        switch register {
        case .magic: Self.magic
        case .version: 2
        case .deviceID: device.identifier
        case .vendorID: Self.vendor
        case .deviceFeatures: state.withLock { $0.registers.offeredWord }
        case .queueSizeMax: state.withLock { UInt32($0.registers.selected?.sizeMax ?? 0) }
        case .queueReady: state.withLock { $0.registers.selected?.isReady ?? false } ? 1 : 0
        case .interruptStatus: signals.pending
        case .status:
            state.withLock { $0.registers.status }.rawValue
                | (signals.needsReset ? VirtioStatus.needsReset.rawValue : 0)
        // Configuration never changes while a driver looks.
        case .configurationGeneration: 0
        default: nil
        }
    }

    /// Writes a register, 4 bytes wide; anything else has no effect.
    package func write(_ value: UInt64, at offset: UInt64, width: Int) {
        guard width == 4, let register = VirtioRegister(rawValue: offset) else { return }
        let word = UInt32(truncatingIfNeeded: value)
        switch register {
        case .queueNotify: notify(queue: Int(word))
        case .interruptAcknowledge: signals.acknowledge(word)
        case .status: writeStatus(word)
        default: state.withLock { $0.registers.write(word, to: register) }
        }
    }

    /// Bytes beyond the configuration space read as ones.
    private func readConfiguration(at offset: UInt64, width: Int) -> UInt64 {
        guard let start = Int(exactly: offset - VirtioRegister.configuration), start < configuration.count else {
            return .max
        }
        var value = UInt64.max
        for (index, byte) in configuration[start...].prefix(min(width, 8)).enumerated() {
            let shift = 8 * UInt64(index)
            value = value & ~(0xff << shift) | UInt64(byte) << shift
        }
        return value
    }

    // MARK: Status

    private func writeStatus(_ value: UInt32) {
        state.withLock { state in
            switch state.registers.setStatus(value) {
            case .none: break
            case .reset: reset(&state)
            case .activate: activate(&state)
            }
        }
    }

    /// Called under the lock. The device continues at `positions`, one for each of its queues.
    func activate(_ state: inout State, at positions: [Virtqueue.Position] = []) {
        let accepted = state.registers.accepted
        do throws(VirtqueueError) {
            var queues: [Virtqueue?] = []
            for (number, queue) in state.registers.queues.enumerated() {
                guard queue.isReady else {
                    queues.append(nil)
                    continue
                }
                guard queue.layout.size <= queue.sizeMax else { throw .size(queue.layout.size) }
                queues.append(
                    try Virtqueue(
                        queue.layout, in: memory, eventIndex: accepted.contains(.eventIndex),
                        position: positions.indices.contains(number) ? positions[number] : Virtqueue.Position()))
            }
            let driver = VirtioDriver(features: accepted, queues: queues, signals: signals)
            state.driver = driver
            device.activate(driver)
        } catch {
            signals.fail(error)
        }
    }
}
