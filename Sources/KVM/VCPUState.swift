import CKVM
import Glibc
import HostSystem

/// All that a vCPU is besides its CPUID table, as a value (Documentation/virt/kvm/api.rst names each part).
public struct VCPUState: Sendable, Hashable {
    /// What one request reads and another writes, as the bytes of the kernel's structure. In the order in which they are
    /// read and written: the run state may change the local APIC; the registers drop pending exceptions; the system
    /// registers say where the local APIC is, whose mode some model-specific registers depend on; events come last.
    public enum Part: UInt8, Sendable, CaseIterable {
        case runState, registers, systemRegisters, floatingPoint, extendedState, extendedControl, debugRegisters
        case localAPIC, events
    }

    /// A model-specific register.
    public struct ModelSpecificRegister: Sendable, Hashable {
        /// Its number.
        public var index: UInt32
        /// Its value.
        public var value: UInt64

        /// A register as given.
        public init(index: UInt32, value: UInt64) {
            self.index = index
            self.value = value
        }
    }

    /// What the host knows of these parts; `registers` and what is needed to go on are always there.
    public var parts: [Part: [UInt8]]
    /// Those that the host told.
    public var modelSpecificRegisters: [ModelSpecificRegister]
    /// The time stamp counter's frequency in kHz; nil where the host does not tell.
    public var timeStampFrequency: UInt32?

    /// A state as given.
    public init(
        parts: [Part: [UInt8]], modelSpecificRegisters: [ModelSpecificRegister], timeStampFrequency: UInt32?
    ) {
        self.parts = parts
        self.modelSpecificRegisters = modelSpecificRegisters
        self.timeStampFrequency = timeStampFrequency
    }

    /// IA32_TIME_STAMP_COUNTER.
    static let timeStampCounter: UInt32 = 0x10
    /// IA32_TSC_DEADLINE.
    static let timeStampDeadline: UInt32 = 0x6e0
}

extension VCPUState.Part {
    /// The names and numbers of the requests, and the structure's bytes.
    fileprivate var request: (get: (String, UInt), set: (String, UInt), size: Int) {
        switch self {
        case .runState:
            (
                ("KVM_GET_MP_STATE", vmlab_KVM_GET_MP_STATE), ("KVM_SET_MP_STATE", vmlab_KVM_SET_MP_STATE),
                MemoryLayout<kvm_mp_state>.size
            )
        case .registers:
            (
                ("KVM_GET_REGS", vmlab_KVM_GET_REGS), ("KVM_SET_REGS", vmlab_KVM_SET_REGS),
                MemoryLayout<kvm_regs>.size
            )
        case .systemRegisters:
            (
                ("KVM_GET_SREGS", vmlab_KVM_GET_SREGS), ("KVM_SET_SREGS", vmlab_KVM_SET_SREGS),
                MemoryLayout<kvm_sregs>.size
            )
        case .floatingPoint:
            (("KVM_GET_FPU", vmlab_KVM_GET_FPU), ("KVM_SET_FPU", vmlab_KVM_SET_FPU), MemoryLayout<kvm_fpu>.size)
        case .extendedState:
            // A vCPU whose states need more than this page asked for them with arch_prctl, which we do not.
            (("KVM_GET_XSAVE", vmlab_KVM_GET_XSAVE), ("KVM_SET_XSAVE", vmlab_KVM_SET_XSAVE), 4096)
        case .extendedControl:
            (
                ("KVM_GET_XCRS", vmlab_KVM_GET_XCRS), ("KVM_SET_XCRS", vmlab_KVM_SET_XCRS),
                MemoryLayout<kvm_xcrs>.size
            )
        case .debugRegisters:
            (
                ("KVM_GET_DEBUGREGS", vmlab_KVM_GET_DEBUGREGS), ("KVM_SET_DEBUGREGS", vmlab_KVM_SET_DEBUGREGS),
                MemoryLayout<kvm_debugregs>.size
            )
        case .localAPIC:
            (
                ("KVM_GET_LAPIC", vmlab_KVM_GET_LAPIC), ("KVM_SET_LAPIC", vmlab_KVM_SET_LAPIC),
                MemoryLayout<kvm_lapic_state>.size
            )
        case .events:
            (
                ("KVM_GET_VCPU_EVENTS", vmlab_KVM_GET_VCPU_EVENTS),
                ("KVM_SET_VCPU_EVENTS", vmlab_KVM_SET_VCPU_EVENTS), MemoryLayout<kvm_vcpu_events>.size
            )
        }
    }

    /// Whether a host may lack it.
    fileprivate var isOptional: Bool {
        switch self {
        case .extendedState, .extendedControl, .debugRegisters, .events: true
        case .runState, .registers, .systemRegisters, .floatingPoint, .localAPIC: false
        }
    }

    /// A processor without XSAVE tells of no control registers for it, its first field, and takes none.
    fileprivate func isThere(_ bytes: [UInt8]) -> Bool { self != .extendedControl || bytes.prefix(4) != [0, 0, 0, 0] }

    /// Whether `count` bytes are this part's structure.
    public func hasSize(_ count: Int) -> Bool { count == request.size }
}

extension VCPU {
    /// Its state, with those of the model-specific registers `indices` that the host tells; while it is held. Throws what the
    /// kernel says.
    public func state(modelSpecific indices: [UInt32]) throws(SystemCallError) -> VCPUState {
        var parts: [VCPUState.Part: [UInt8]] = [:]
        for part in VCPUState.Part.allCases where part != .events { parts[part] = try read(part) }
        let frequency = timeStampFrequency
        let registers = try modelSpecificRegisters(indices)
        parts[.events] = try read(.events)
        return VCPUState(parts: parts, modelSpecificRegisters: registers, timeStampFrequency: frequency)
    }

    /// Puts a state into a vCPU that has its CPUID table; while it is held.
    ///
    /// Throws what the kernel says, and `EINVAL` for parts of another size.
    public func setState(_ state: VCPUState) throws(SystemCallError) {
        if let wanted = state.timeStampFrequency, let own = timeStampFrequency { try setFrequency(wanted, from: own) }
        for part in VCPUState.Part.allCases where part != .events { try write(state.parts[part], part) }
        try setModelSpecificRegisters(state.modelSpecificRegisters)
        try write(state.parts[.events], .events)
    }

    private func read(_ part: VCPUState.Part) throws(SystemCallError) -> [UInt8]? {
        let (get, _, size) = part.request
        var bytes = [UInt8](repeating: 0, count: size)
        if part.isOptional {
            guard try offered({ () throws(SystemCallError) in try transfer(get, &bytes) }) else { return nil }
            return part.isThere(bytes) ? bytes : nil
        }
        try transfer(get, &bytes)
        return bytes
    }

    private func write(_ bytes: [UInt8]?, _ part: VCPUState.Part) throws(SystemCallError) {
        guard var bytes else {
            guard part.isOptional else { throw SystemCallError(part.request.set.0, errno: EINVAL) }
            return
        }
        guard part.hasSize(bytes.count) else { throw SystemCallError(part.request.set.0, errno: EINVAL) }
        try transfer(part.request.set, &bytes)
    }

    private func transfer(_ request: (String, UInt), _ bytes: inout [UInt8]) throws(SystemCallError) {
        let number = descriptor.number
        var result: Int32 = 0
        bytes.withUnsafeMutableBytes { result = vmlab_kvm(number, request.1, $0.baseAddress) }
        guard result >= 0 else { throw SystemCallError(request.0) }
    }

    // MARK: Model-specific registers

    private func modelSpecificRegisters(
        _ indices: [UInt32]
    ) throws(SystemCallError) -> [VCPUState.ModelSpecificRegister] {
        var result: [VCPUState.ModelSpecificRegister] = []
        var rest = indices[...]
        while !rest.isEmpty {
            var table = rest.prefix(Self.mostAtOnce).map { index in
                var entry = kvm_msr_entry()
                entry.index = index
                return entry
            }
            let (done, _) = try kvm("KVM_GET_MSRS", descriptor, vmlab_KVM_GET_MSRS, header: 8, entries: &table)
            let count = min(Int(max(done, 0)), table.count)
            result += table[..<count].map { VCPUState.ModelSpecificRegister(index: $0.index, value: $0.data) }
            // The first that was not read, if any, is one that this host does not tell.
            rest = rest.dropFirst(count < table.count ? count + 1 : count)
        }
        return result
    }

    /// In the given order, but the deadline of the time stamp counter after the counter itself; those that the host refuses
    /// are left as they are.
    private func setModelSpecificRegisters(
        _ registers: [VCPUState.ModelSpecificRegister]
    ) throws(SystemCallError) {
        let counter = registers.first { $0.index == VCPUState.timeStampCounter }?.value ?? 1
        let isDeadline = { (register: VCPUState.ModelSpecificRegister) in
            register.index == VCPUState.timeStampDeadline
        }
        // A deadline of 0 may be one that has passed and whose interrupt was on its way: it is due now. Without that timer
        // the register is ignored.
        let deadlines = registers.filter(isDeadline).map { register in
            VCPUState.ModelSpecificRegister(
                index: register.index, value: register.value == 0 ? counter : register.value)
        }
        for chunk in [registers.filter { !isDeadline($0) }, deadlines] { try write(chunk[...]) }
    }

    private func write(_ registers: ArraySlice<VCPUState.ModelSpecificRegister>) throws(SystemCallError) {
        var rest = registers
        while !rest.isEmpty {
            var table = rest.prefix(Self.mostAtOnce).map { register in
                var entry = kvm_msr_entry()
                (entry.index, entry.data) = (register.index, register.value)
                return entry
            }
            let (done, _) = try kvm("KVM_SET_MSRS", descriptor, vmlab_KVM_SET_MSRS, header: 8, entries: &table)
            let count = min(Int(max(done, 0)), table.count)
            rest = rest.dropFirst(count < table.count ? count + 1 : count)
        }
    }

    /// The kernel takes 256 at a time.
    private static var mostAtOnce: Int { 256 }

    // MARK: Time stamp counter

    private var timeStampFrequency: UInt32? {
        let frequency = vmlab_kvm(descriptor.number, vmlab_KVM_GET_TSC_KHZ, nil)
        return frequency > 0 ? UInt32(frequency) : nil
    }

    /// Only where it differs by more than 250 ppm, less than which a guest's own corrections cope with.
    private func setFrequency(_ wanted: UInt32, from own: UInt32) throws(SystemCallError) {
        let difference = wanted > own ? wanted - own : own - wanted
        guard UInt64(difference) * 4000 > UInt64(own) else { return }
        try kvm("KVM_SET_TSC_KHZ", descriptor, vmlab_KVM_SET_TSC_KHZ, number: UInt(wanted))
    }

    /// What the guest's time stamp counter says now; nil where the host does not tell.
    public func timeStamp() -> UInt64? {
        let registers = try? modelSpecificRegisters([VCPUState.timeStampCounter])
        return registers?.first?.value
    }

    /// What the guest's time stamp counter is ahead of the host's, modulo 2⁶⁴; nil where the host (before Linux 5.16) does not
    /// tell.
    public func timeStampOffset() -> UInt64? {
        var offset: UInt64 = 0
        return offsetRequest(vmlab_KVM_GET_DEVICE_ATTR, &offset) ? offset : nil
    }

    /// Sets it. False where the host cannot.
    @discardableResult
    public func setTimeStampOffset(_ offset: UInt64) -> Bool {
        var offset = offset
        return offsetRequest(vmlab_KVM_SET_DEVICE_ATTR, &offset)
    }

    /// KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET: both 0.
    private func offsetRequest(_ request: UInt, _ offset: inout UInt64) -> Bool {
        let number = descriptor.number
        return withUnsafeMutablePointer(to: &offset) { pointer in
            var attribute = kvm_device_attr()
            attribute.addr = UInt64(UInt(bitPattern: pointer))
            return vmlab_kvm(number, request, &attribute) == 0
        }
    }
}
