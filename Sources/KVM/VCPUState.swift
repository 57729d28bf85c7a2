import CKVM
import Glibc
import HostSystem

/// The complete state of a vCPU except its CPUID table (Documentation/virt/kvm/api.rst describes each part).
package struct VCPUState: Sendable, Hashable {
    /// A part with its own get and set requests, as the bytes of the kernel's structure. The order is that of reading and
    /// writing: the run state may change the local APIC; the registers drop pending exceptions; the system registers locate the
    /// local APIC, on whose mode some model-specific registers depend; events come last.
    package enum Part: UInt8, Sendable, CaseIterable {
        case runState, registers, systemRegisters, floatingPoint, extendedState, extendedControl, debugRegisters
        case localAPIC, events
    }

    package struct ModelSpecificRegister: Sendable, Hashable {
        package var index: UInt32
        package var value: UInt64

        package init(index: UInt32, value: UInt64) {
            self.index = index
            self.value = value
        }
    }

    /// The parts that the host supports; `registers` and all required parts are always present.
    package var parts: [Part: [UInt8]]
    /// The model-specific registers that the host could read.
    package var modelSpecificRegisters: [ModelSpecificRegister]
    /// The TSC frequency in kHz; nil where the host does not report it.
    package var timeStampFrequency: UInt32?

    package init(
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
    /// Its kernel name, get and set requests, structure size in bytes, and whether a host may lack it.
    fileprivate var request: (name: String, get: UInt, set: UInt, size: Int, isOptional: Bool) {
        func all<Value>(
            _ name: String, _ get: UInt, _ set: UInt, _ type: Value.Type, isOptional: Bool = false
        ) -> (String, UInt, UInt, Int, Bool) { (name, get, set, MemoryLayout<Value>.size, isOptional) }
        return switch self {
        case .runState: all("MP_STATE", vmlab_KVM_GET_MP_STATE, vmlab_KVM_SET_MP_STATE, kvm_mp_state.self)
        case .registers: all("REGS", vmlab_KVM_GET_REGS, vmlab_KVM_SET_REGS, kvm_regs.self)
        case .systemRegisters: all("SREGS", vmlab_KVM_GET_SREGS, vmlab_KVM_SET_SREGS, kvm_sregs.self)
        case .floatingPoint: all("FPU", vmlab_KVM_GET_FPU, vmlab_KVM_SET_FPU, kvm_fpu.self)
        // Only a vCPU that requested larger states with arch_prctl needs more than this page; ours do not.
        case .extendedState: ("XSAVE", vmlab_KVM_GET_XSAVE, vmlab_KVM_SET_XSAVE, 4096, true)
        case .extendedControl: all("XCRS", vmlab_KVM_GET_XCRS, vmlab_KVM_SET_XCRS, kvm_xcrs.self, isOptional: true)
        case .debugRegisters:
            all("DEBUGREGS", vmlab_KVM_GET_DEBUGREGS, vmlab_KVM_SET_DEBUGREGS, kvm_debugregs.self, isOptional: true)
        case .localAPIC: all("LAPIC", vmlab_KVM_GET_LAPIC, vmlab_KVM_SET_LAPIC, kvm_lapic_state.self)
        case .events:
            all(
                "VCPU_EVENTS", vmlab_KVM_GET_VCPU_EVENTS, vmlab_KVM_SET_VCPU_EVENTS, kvm_vcpu_events.self,
                isOptional: true)
        }
    }

    /// A CPU without XSAVE reports and accepts no extended control registers; their count is the first field.
    fileprivate func isThere(_ bytes: [UInt8]) -> Bool { self != .extendedControl || bytes.prefix(4) != [0, 0, 0, 0] }

    package func hasSize(_ count: Int) -> Bool { count == request.size }
}

extension VCPU {
    /// The state of a held vCPU, with the readable ones of the model-specific registers `indices`. Throws the kernel's error.
    package func state(modelSpecific indices: [UInt32]) throws(SystemCallError) -> VCPUState {
        var parts: [VCPUState.Part: [UInt8]] = [:]
        for part in VCPUState.Part.allCases where part != .events { parts[part] = try read(part) }
        let frequency = timeStampFrequency
        let registers = try modelSpecificRegisters(indices)
        parts[.events] = try read(.events)
        return VCPUState(parts: parts, modelSpecificRegisters: registers, timeStampFrequency: frequency)
    }

    /// Restores a state into a held vCPU that has its CPUID table. Throws the kernel's error; `EINVAL` for parts of another size.
    package func setState(_ state: VCPUState) throws(SystemCallError) {
        if let wanted = state.timeStampFrequency, let own = timeStampFrequency { try setFrequency(wanted, from: own) }
        for part in VCPUState.Part.allCases where part != .events { try write(state.parts[part], part) }
        try setModelSpecificRegisters(state.modelSpecificRegisters)
        try write(state.parts[.events], .events)
    }

    private func read(_ part: VCPUState.Part) throws(SystemCallError) -> [UInt8]? {
        let request = part.request
        var bytes = [UInt8](repeating: 0, count: request.size)
        let isKnown = try offered { () throws(SystemCallError) in
            try transfer("KVM_GET_\(request.name)", request.get, &bytes)
        }
        if isKnown { return part.isThere(bytes) ? bytes : nil }
        guard request.isOptional else { throw SystemCallError("KVM_GET_\(request.name)", errno: EINVAL) }
        return nil
    }

    private func write(_ bytes: [UInt8]?, _ part: VCPUState.Part) throws(SystemCallError) {
        let request = part.request
        if bytes == nil, request.isOptional { return }
        guard var bytes, part.hasSize(bytes.count) else {
            throw SystemCallError("KVM_SET_\(request.name)", errno: EINVAL)
        }
        try transfer("KVM_SET_\(request.name)", request.set, &bytes)
    }

    private func transfer(_ call: String, _ request: UInt, _ bytes: inout [UInt8]) throws(SystemCallError) {
        let number = descriptor.number
        let result = bytes.withUnsafeMutableBytes { vmlab_kvm(number, request, $0.baseAddress) }
        guard result >= 0 else { throw SystemCallError(call) }
    }

    // MARK: Model-specific registers

    private func modelSpecificRegisters(
        _ indices: [UInt32]
    ) throws(SystemCallError) -> [VCPUState.ModelSpecificRegister] {
        let entries = indices.map { kvm_msr_entry(index: $0, reserved: 0, data: 0) }
        return try transferRegisters("KVM_GET_MSRS", vmlab_KVM_GET_MSRS, entries).map {
            VCPUState.ModelSpecificRegister(index: $0.index, value: $0.data)
        }
    }

    /// Reads or sets registers in batches of up to 256; returns those that succeeded. KVM stops at one that the host does not
    /// support.
    @discardableResult
    private func transferRegisters(
        _ call: String, _ request: UInt, _ entries: [kvm_msr_entry]
    ) throws(SystemCallError) -> [kvm_msr_entry] {
        var result: [kvm_msr_entry] = []
        var rest = entries[...]
        while !rest.isEmpty {
            var table = Array(rest.prefix(256))
            let (done, _) = try kvm(call, descriptor, request, header: 8, entries: &table)
            let count = min(Int(max(done, 0)), table.count)
            result += table[..<count]
            rest = rest.dropFirst(count < table.count ? count + 1 : count)
        }
        return result
    }

    /// In the given order, but the TSC deadline after the TSC itself. Registers that the host rejects are skipped.
    private func setModelSpecificRegisters(
        _ registers: [VCPUState.ModelSpecificRegister]
    ) throws(SystemCallError) {
        let counter = registers.first { $0.index == VCPUState.timeStampCounter }?.value ?? 1
        let isDeadline = { (register: VCPUState.ModelSpecificRegister) in
            register.index == VCPUState.timeStampDeadline
        }
        // A deadline of 0 may have passed with its interrupt pending: make it due now. Ignored without that timer.
        let deadlines = registers.filter(isDeadline).map { register in
            VCPUState.ModelSpecificRegister(
                index: register.index, value: register.value == 0 ? counter : register.value)
        }
        for group in [registers.filter { !isDeadline($0) }, deadlines] {
            let entries = group.map { kvm_msr_entry(index: $0.index, reserved: 0, data: $0.value) }
            try transferRegisters("KVM_SET_MSRS", vmlab_KVM_SET_MSRS, entries)
        }
    }

    // MARK: Time stamp counter

    private var timeStampFrequency: UInt32? {
        let frequency = vmlab_kvm(descriptor.number, vmlab_KVM_GET_TSC_KHZ, nil)
        return frequency > 0 ? UInt32(frequency) : nil
    }

    /// Only if it differs by more than 250 ppm; guests correct smaller differences themselves.
    private func setFrequency(_ wanted: UInt32, from own: UInt32) throws(SystemCallError) {
        let difference = wanted > own ? wanted - own : own - wanted
        guard UInt64(difference) * 4000 > UInt64(own) else { return }
        try kvm("KVM_SET_TSC_KHZ", descriptor, vmlab_KVM_SET_TSC_KHZ, number: UInt(wanted))
    }

    /// The guest's TSC now; nil where the host does not report it.
    package func timeStamp() -> UInt64? {
        let registers = try? modelSpecificRegisters([VCPUState.timeStampCounter])
        return registers?.first?.value
    }

    /// The guest's TSC minus the host's, modulo 2⁶⁴; nil where the host (before Linux 5.16) does not report it.
    package func timeStampOffset() -> UInt64? {
        var offset: UInt64 = 0
        return offsetRequest(vmlab_KVM_GET_DEVICE_ATTR, &offset) ? offset : nil
    }

    /// Sets the TSC offset. False without support.
    @discardableResult
    package func setTimeStampOffset(_ offset: UInt64) -> Bool {
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
