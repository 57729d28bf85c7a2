import Glibc
import HostSystem
import Testing

extension Trait where Self == ConditionTrait {
    /// The test starts QEMU machines.
    public static var requiresQEMU: Self {
        .enabled("QEMU is not installed: on Debian `apt-get install qemu-system-x86 qemu-utils`") {
            Tool.find("qemu-system-x86_64") != nil && Tool.find("qemu-img") != nil
        }
    }

    /// The test makes virtual machines on `/dev/kvm`; any kind will do, interpreted or hardware.
    public static var requiresKVM: Self {
        .enabled("this host has no usable /dev/kvm") {
            if case .unavailable = KVMProbe.run() { false } else { true }
        }
    }
}
