import CKVM

/// The ring of writes that KVM coalesced instead of an exit for each (`KVM_REGISTER_COALESCED_MMIO`).
package struct CoalescedRing: @unchecked Sendable {
    // Unchecked because of the pointer. The kernel writes the ring's end; we write its beginning, under the owner's lock.
    private let ring: UnsafeMutablePointer<kvm_coalesced_mmio_ring>
    private let capacity: UInt32

    /// The ring in `size` bytes of memory shared with the kernel.
    init(ring: UnsafeMutablePointer<kvm_coalesced_mmio_ring>, size: Int) {
        self.ring = ring
        capacity = UInt32((size - MemoryLayout<kvm_coalesced_mmio_ring>.size) / MemoryLayout<kvm_coalesced_mmio>.size)
    }

    /// Consumes all entries, oldest first. Not on two threads at once.
    package func take(_ body: (_ address: UInt64, _ width: Int, _ value: UInt64) -> Void) {
        var first = ring.pointee.first
        while first != vmlab_ring_last(ring), first < capacity, let entry = vmlab_ring_entry(ring, first) {
            let value = withUnsafeBytes(of: entry.pointee.data) { $0.loadUnaligned(as: UInt64.self) }
            body(entry.pointee.phys_addr, Int(min(entry.pointee.len, 8)), value)
            first = (first + 1) % capacity
            vmlab_ring_take(ring, first)
        }
    }
}
