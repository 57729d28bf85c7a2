import CKVM
import Glibc
import HostSystem

/// An open `/dev/kvm`.
public struct KVMSystem: ~Copyable, Sendable {
    let descriptor: OwnedDescriptor

    /// The only stable API version, since Linux 2.6.22.
    public static let apiVersion: Int32 = 12

    /// Opens the device. Throws the kernel's error, and `ENOTSUP` for another API version.
    public static func open(_ path: String = "/dev/kvm") throws(SystemCallError) -> KVMSystem {
        let descriptor = try OwnedDescriptor.open(path, O_RDWR)
        let version = try kvm("KVM_GET_API_VERSION", descriptor, vmlab_KVM_GET_API_VERSION)
        guard version == apiVersion else { throw SystemCallError("KVM_GET_API_VERSION", errno: ENOTSUP, path) }
        return KVMSystem(descriptor: descriptor)
    }

    init(descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }

    /// A capability's value: 0 when missing, else 1 or a number with its own meaning.
    package func value(of capability: Capability) -> Int32 {
        max(0, vmlab_kvm(descriptor.number, vmlab_KVM_CHECK_EXTENSION, .init(bitPattern: capability.rawValue)))
    }

    package func has(_ capability: Capability) -> Bool { value(of: capability) > 0 }

    /// The CPUID values that this host supports for guests.
    public func supportedCPUID() throws(SystemCallError) -> [kvm_cpuid_entry2] {
        try kvm(
            table: "KVM_GET_SUPPORTED_CPUID", descriptor, vmlab_KVM_GET_SUPPORTED_CPUID, header: 8,
            of: kvm_cpuid_entry2())
    }

    /// The numbers of the model-specific registers in a vCPU's state on this host.
    public func modelSpecificRegisters() throws(SystemCallError) -> [UInt32] {
        try kvm(
            table: "KVM_GET_MSR_INDEX_LIST", descriptor, vmlab_KVM_GET_MSR_INDEX_LIST, header: 4, of: UInt32(0))
    }

    /// The size in bytes of a vCPU's shared mapping.
    func vcpuMappingSize() throws(SystemCallError) -> Int {
        Int(try kvm("KVM_GET_VCPU_MMAP_SIZE", descriptor, vmlab_KVM_GET_VCPU_MMAP_SIZE))
    }

    /// Creates a virtual machine without memory, vCPUs or devices.
    public func makeVirtualMachine() throws(SystemCallError) -> VirtualMachine {
        let number = try kvm("KVM_CREATE_VM", descriptor, vmlab_KVM_CREATE_VM)
        let ring = has(.coalescedPIO) ? Int(value(of: .coalescedMMIO)) : 0
        return VirtualMachine(
            descriptor: OwnedDescriptor(owning: number), mappingSize: try vcpuMappingSize(), coalescedRingPage: ring)
    }
}
