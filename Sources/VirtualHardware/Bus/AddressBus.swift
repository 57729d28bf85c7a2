import HostSystem

/// A device on the processor's bus: registers at offsets from its base address. Called on vCPU threads, several at once. Offsets
/// and values come from the guest: none may trap, fail or block, except that a virtio device's reset waits for transfers under way.
/// A missing register reads as all ones of the width and ignores writes.
package protocol BusDevice: AnyObject, Sendable {
    /// Reads `width` bytes (1, 2, 4 or 8) at `offset`; what is above the width is ignored.
    func read(at offset: UInt64, width: Int) -> UInt64

    /// Writes the low `width` bytes (1, 2, 4 or 8) of `value` at `offset`.
    func write(_ value: UInt64, at offset: UInt64, width: Int)
}

/// Which device answers at which address: one such map for I/O ports, one for memory-mapped registers.
package struct AddressBus: Sendable {
    private struct Slot {
        let range: Range<UInt64>
        let device: any BusDevice
    }

    private var slots: [Slot] = []

    package init() {}

    /// Puts a device at these addresses. Refuses with false a range that overlaps another, which is a mistake in our layout.
    @discardableResult
    package mutating func insert(_ device: any BusDevice, at range: Range<UInt64>) -> Bool {
        guard !range.isEmpty, !slots.contains(where: { $0.range.overlaps(range) }) else { return false }
        let place = slots.firstIndex { $0.range.lowerBound > range.lowerBound } ?? slots.endIndex
        slots.insert(Slot(range: range, device: device), at: place)
        return true
    }

    /// Reads; all ones where there is no device.
    package func read(at address: UInt64, width: Int) -> UInt64 {
        guard let slot = slot(at: address) else { return .max }
        return slot.device.read(at: address - slot.range.lowerBound, width: width)
    }

    /// Writes; nothing happens where there is no device.
    package func write(_ value: UInt64, at address: UInt64, width: Int) {
        guard let slot = slot(at: address) else { return }
        slot.device.write(value, at: address - slot.range.lowerBound, width: width)
    }

    private func slot(at address: UInt64) -> Slot? {
        var low = 0
        var high = slots.count
        while low < high {
            let middle = low + (high - low) / 2
            if slots[middle].range.upperBound <= address { low = middle + 1 } else { high = middle }
        }
        guard low < slots.count, slots[low].range.contains(address) else { return nil }
        return slots[low]
    }
}

/// A device's edge-triggered interrupt line. With KVM it is an eventfd registered as an irqfd; in tests it counts.
package protocol InterruptLine: AnyObject, Sendable {
    /// One rising edge. May be called on any thread; never blocks.
    func signal()
}

extension EventDescriptor: InterruptLine {}
