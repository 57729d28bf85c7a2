import CKVM
import KVM

/// What the CPUID instruction tells the guest's processors: all that this host's KVM supports, with our topology of one
/// package, a core to each vCPU and one thread to a core (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E).
struct ProcessorFeatures {
    private let supported: [kvm_cpuid_entry2]
    private let count: Int
    private let hasDeadlineTimer: Bool

    init(_ system: borrowing KVMSystem, count: Int) throws {
        supported = try system.supportedCPUID()
        self.count = count
        hasDeadlineTimer = system.has(.tscDeadlineTimer)
    }

    /// The number of APIC id bits for the core.
    private var coreBits: UInt32 { UInt32(Int.bitWidth - (count - 1).leadingZeroBitCount) }

    func entries(of vcpu: Int) -> [kvm_cpuid_entry2] {
        let number = UInt32(vcpu)
        let cores = UInt32(count)
        return supported.filter { ![0xb, 0x1f].contains($0.function) }.map { entry in
            var entry = entry
            switch entry.function {
            case 1:
                entry.ebx = entry.ebx & 0x0000_ffff | number << 24 | min(cores, 255) << 16
                // We are a hypervisor; more than one logical processor in the package; the deadline timer.
                entry.ecx |= 1 << 31
                entry.edx = count > 1 ? entry.edx | 1 << 28 : entry.edx & ~(1 << 28)
                if hasDeadlineTimer { entry.ecx |= 1 << 24 } else { entry.ecx &= ~(1 << 24) }
            case 4:
                // Caches: the last level is shared by all cores, the others belong to one.
                let level = entry.eax >> 5 & 7
                entry.eax &= 0x3fff
                entry.eax |= (cores - 1) << 26
                if level >= 3 { entry.eax |= (cores - 1) << 14 }
            case 0x8000_0008:
                entry.ecx = entry.ecx & ~0xf0ff | (cores - 1) | coreBits << 12
            case 0x8000_001e:
                entry.eax = number
                entry.ebx = entry.ebx & ~0xffff | number
                entry.ecx &= ~0x7ff
            default: break
            }
            return entry
        } + topology(of: number)
    }

    /// The properties that a guest restored elsewhere may rely on, in comparable form.
    var leaves: [ProcessorLeaf] {
        entries(of: 0).map {
            ProcessorLeaf(function: $0.function, index: $0.index, registers: [$0.eax, $0.ebx, $0.ecx, $0.edx])
        }
    }

    /// Leaf 0xb: threads of a core, then cores of the package.
    private func topology(of number: UInt32) -> [kvm_cpuid_entry2] {
        guard supported.contains(where: { $0.function == 0 && $0.eax >= 0xb }) else { return [] }
        return (0..<UInt32(3)).map { level in
            var entry = kvm_cpuid_entry2()
            entry.function = 0xb
            entry.index = level
            // KVM_CPUID_FLAG_SIGNIFCANT_INDEX
            entry.flags = 1
            entry.ecx = level | (level < 2 ? level + 1 : 0) << 8
            entry.edx = number
            if level == 0 { entry.ebx = 1 }
            if level == 1 { (entry.eax, entry.ebx) = (coreBits, UInt32(count)) }
            return entry
        }
    }
}

/// One answer of the CPUID instruction.
struct ProcessorLeaf: Sendable, Hashable {
    let function: UInt32
    let index: UInt32
    /// EAX, EBX, ECX, EDX.
    let registers: [UInt32]
}
