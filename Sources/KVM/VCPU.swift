import CKVM
import Glibc
import HostSystem

/// A vCPU. It belongs to one thread; other threads may use only its `Kicker`.
public struct VCPU: ~Copyable, @unchecked Sendable {
    // Unchecked because of the mapping, which moves between threads with its owner.
    let descriptor: OwnedDescriptor
    private let run: UnsafeMutablePointer<kvm_run>
    private let mappingSize: Int
    private let ring: UnsafeMutablePointer<kvm_coalesced_mmio_ring>?

    init(
        descriptor: consuming OwnedDescriptor, mappingSize: Int, coalescedRingPage: Int
    ) throws(SystemCallError) {
        let mapping = mmap(nil, mappingSize, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.number, 0)
        guard let mapping, mapping != MAP_FAILED, mappingSize >= MemoryLayout<kvm_run>.size else {
            throw SystemCallError("mmap", "vCPU")
        }
        self.descriptor = descriptor
        self.mappingSize = mappingSize
        run = mapping.assumingMemoryBound(to: kvm_run.self)
        let offset = coalescedRingPage * Self.pageSize
        ring =
            coalescedRingPage > 0 && offset + Self.pageSize <= mappingSize
            ? (mapping + offset).assumingMemoryBound(to: kvm_coalesced_mmio_ring.self) : nil
    }

    deinit { munmap(run, mappingSize) }

    private static let pageSize = 4096

    // MARK: Running

    /// Makes `enter` return `.interrupted`: at once when the vCPU is not in the guest; otherwise its thread also needs a signal.
    public struct Kicker: @unchecked Sendable {
        fileprivate let run: UnsafeMutablePointer<kvm_run>

        /// Makes `enter` return at once until `allow`. The vCPU must still exist.
        public func stop() { vmlab_set_immediate_exit(run, 1) }
        /// Lets `enter` enter the guest again.
        public func allow() { vmlab_set_immediate_exit(run, 0) }
    }

    /// The handle with which other threads kick this vCPU; valid as long as it lives.
    public var kicker: Kicker { Kicker(run: run) }

    /// Runs the guest until the next exit. Completes the access of the previous exit first. Throws the kernel's error; a signal is
    /// not an error but `.interrupted`.
    public mutating func enter() throws(SystemCallError) -> VCPUExit {
        guard vmlab_kvm(descriptor.number, vmlab_KVM_RUN, nil) == 0 else {
            let error = errno
            // EAGAIN: a vCPU waiting for its startup IPI was asked to return.
            if error == EINTR || error == EAGAIN { return .interrupted }
            throw SystemCallError("KVM_RUN", errno: error)
        }
        switch Int32(bitPattern: run.pointee.exit_reason) {
        case KVM_EXIT_IO:
            let io = run.pointee.io
            let (width, count) = (Int(io.size), Int(io.count))
            return Int32(io.direction) == KVM_EXIT_IO_IN
                ? .portRead(port: io.port, width: width, count: count)
                : .portWrite(port: io.port, width: width, count: count)
        case KVM_EXIT_MMIO:
            let access = run.pointee.mmio
            let width = min(Int(access.len), 8)
            guard access.is_write != 0 else { return .memoryRead(address: access.phys_addr, width: width) }
            let value = withUnsafeBytes(of: access.data) { $0.loadUnaligned(as: UInt64.self) }
            return .memoryWrite(address: access.phys_addr, width: width, value: value)
        case KVM_EXIT_HLT: return .halt
        case KVM_EXIT_SHUTDOWN: return .shutdown
        case KVM_EXIT_INTR: return .interrupted
        case KVM_EXIT_SYSTEM_EVENT: return .systemEvent(run.pointee.system_event.type)
        case KVM_EXIT_FAIL_ENTRY:
            return .failedEntry(reason: run.pointee.fail_entry.hardware_entry_failure_reason)
        case KVM_EXIT_INTERNAL_ERROR:
            let error = run.pointee.`internal`
            let data = withUnsafeBytes(of: error.data) { Array($0.bindMemory(to: UInt64.self)) }
            return .internalError(suberror: error.suberror, data: Array(data.prefix(Int(min(error.ndata, 16)))))
        default: return .other(reason: run.pointee.exit_reason)
        }
    }

    /// The data of a port exit: `width` times `count` bytes, at most a page.
    public var portBytes: UnsafeMutableRawBufferPointer {
        let io = run.pointee.io
        let offset = Int(truncatingIfNeeded: io.data_offset)
        let count = Int(io.size) * Int(io.count)
        guard offset >= 0, offset + count <= mappingSize else {
            return UnsafeMutableRawBufferPointer(start: nil, count: 0)
        }
        return UnsafeMutableRawBufferPointer(start: UnsafeMutableRawPointer(run) + offset, count: count)
    }

    /// Supplies the value of an MMIO read.
    public mutating func finishRead(_ value: UInt64) {
        withUnsafeMutableBytes(of: &run.pointee.mmio.data) { $0.storeBytes(of: value, as: UInt64.self) }
    }

    /// The ring of coalesced port writes, shared by all vCPUs of a machine; nil without support. Valid as long as this vCPU lives.
    package var coalescedWrites: CoalescedRing? { ring.map { CoalescedRing(ring: $0, size: Self.pageSize) } }

    // MARK: State

    /// General registers.
    public func registers() throws(SystemCallError) -> kvm_regs {
        try kvm(reading: "KVM_GET_REGS", descriptor, vmlab_KVM_GET_REGS, into: kvm_regs())
    }

    /// Sets the general registers.
    public func setRegisters(_ registers: kvm_regs) throws(SystemCallError) {
        try kvm(writing: registers, "KVM_SET_REGS", descriptor, vmlab_KVM_SET_REGS)
    }

    /// Segments, control registers and the like.
    public func systemRegisters() throws(SystemCallError) -> kvm_sregs {
        try kvm(reading: "KVM_GET_SREGS", descriptor, vmlab_KVM_GET_SREGS, into: kvm_sregs())
    }

    /// Sets segments, control registers and the like; KVM rejects values that the CPU would.
    public func setSystemRegisters(_ registers: kvm_sregs) throws(SystemCallError) {
        try kvm(writing: registers, "KVM_SET_SREGS", descriptor, vmlab_KVM_SET_SREGS)
    }

    /// Sets x87 and SSE registers.
    public func setFloatingPoint(_ state: kvm_fpu) throws(SystemCallError) {
        try kvm(writing: state, "KVM_SET_FPU", descriptor, vmlab_KVM_SET_FPU)
    }

    /// The local APIC's registers.
    public func localAPIC() throws(SystemCallError) -> kvm_lapic_state {
        try kvm(reading: "KVM_GET_LAPIC", descriptor, vmlab_KVM_GET_LAPIC, into: kvm_lapic_state())
    }

    /// Sets the local APIC's registers.
    public func setLocalAPIC(_ state: kvm_lapic_state) throws(SystemCallError) {
        try kvm(writing: state, "KVM_SET_LAPIC", descriptor, vmlab_KVM_SET_LAPIC)
    }

    /// Whether it runs, is halted or waits for its startup IPI (`KVM_MP_STATE_*`).
    public func runState() throws(SystemCallError) -> kvm_mp_state {
        try kvm(reading: "KVM_GET_MP_STATE", descriptor, vmlab_KVM_GET_MP_STATE, into: kvm_mp_state())
    }

    /// Sets whether it runs, is halted or waits for its startup IPI.
    public func setRunState(_ state: kvm_mp_state) throws(SystemCallError) {
        try kvm(writing: state, "KVM_SET_MP_STATE", descriptor, vmlab_KVM_SET_MP_STATE)
    }

    /// Drops pending exceptions and interrupts.
    public func clearEvents() throws(SystemCallError) {
        try kvm(writing: kvm_vcpu_events(), "KVM_SET_VCPU_EVENTS", descriptor, vmlab_KVM_SET_VCPU_EVENTS)
    }

    /// Sets the guest's CPUID table. Call it before the first entry, and before MSRs that depend on it.
    public func setCPUID(_ entries: [kvm_cpuid_entry2]) throws(SystemCallError) {
        var entries = entries
        _ = try kvm("KVM_SET_CPUID2", descriptor, vmlab_KVM_SET_CPUID2, header: 8, entries: &entries)
    }

    /// Sets model-specific registers in order. False when the host rejected one; those before it are set.
    @discardableResult
    public func setModelSpecificRegisters(_ entries: [kvm_msr_entry]) throws(SystemCallError) -> Bool {
        var table = entries
        return try kvm("KVM_SET_MSRS", descriptor, vmlab_KVM_SET_MSRS, header: 8, entries: &table).result
            == Int32(entries.count)
    }

    /// Tells kvm-clock that the guest was stopped, so that its watchdogs do not fire. No effect on guests without it.
    public func noteClockWasStopped() {
        _ = vmlab_kvm(descriptor.number, vmlab_KVM_KVMCLOCK_CTRL, nil)
    }
}
