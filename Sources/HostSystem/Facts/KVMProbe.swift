import CLinux
import Glibc

/// The usability of this host's `/dev/kvm`.
///
/// Opening it is not enough: some hosts (KVM's PVM backend) interpret all kernel-mode guest code, so that a stock kernel never
/// boots. A scratch VM that runs a few thousand instructions at CPL 0 distinguishes the two and, where that is slow, the loaded
/// KVM module.
public enum KVMProbe: Sendable, Hashable, CustomStringConvertible {
    /// This process cannot use it; with a remedy.
    case unavailable(reason: String, remedy: String)
    /// Kernel-mode guest code is interpreted, at this speed: use emulation for stock kernels.
    case interpreted(instructionsPerSecond: Double)
    /// Kernel-mode guest code runs on the CPU.
    case hardware(instructionsPerSecond: Double)

    /// The result as a clause.
    public var description: String {
        switch self {
        case .unavailable(let reason, _): reason
        case .interpreted(let speed):
            "/dev/kvm interprets kernel-mode code (\(Self.perSecond(speed))): good for unikernels such as `probe`; "
                + "Linux runs emulated by QEMU, which is faster"
        case .hardware(let speed): "hardware, \(Self.perSecond(speed)) in kernel mode; guests use it"
        }
    }

    /// What would improve it; nil where nothing needs to.
    public var remedy: String? {
        switch self {
        case .unavailable(_, let remedy): remedy
        case .interpreted:
            "use a host whose KVM has hardware support; inside a virtual machine, enable nested virtualization"
        case .hardware: nil
        }
    }

    private static func perSecond(_ rate: Double) -> String {
        rate >= 1e9
            ? "\((rate / 1e8).rounded() / 10) G instructions/s" : "\((rate / 1e5).rounded() / 10) M instructions/s"
    }

    /// Slower means interpreted: an interpreter was measured at 1.5 million instructions/s, hardware (even nested) 100 times
    /// faster.
    public static let hardwareThreshold = 8_000_000.0

    /// Slower than any measured interpreter, in instructions a second: the host was starved of CPU time during the measurement. A
    /// host that is itself a guest cannot see this in any of its clocks.
    static let starvedThreshold = 300_000.0

    /// Probes this host, in at most 100 milliseconds, but up to ten seconds on a starved host or where a VM makes no progress.
    public static func run(device: String = "/dev/kvm") -> KVMProbe {
        let deadline = ContinuousClock.now + .seconds(5)
        return settled(usesProcessor: usesProcessor(), isTimeLeft: { ContinuousClock.now < deadline }) {
            measure(device, limit: $0)
        }
    }

    /// Whether KVM is known to use hardware virtualization: AMD's or Intel's module is loaded, which requires it. A built-in one
    /// has a folder in any case and no `initstate`, so it proves nothing.
    static func usesProcessor(modules: String = "/sys/module") -> Bool {
        ["kvm_amd", "kvm_intel"].contains { SmallFile.text("\(modules)/\($0)/initstate") == "live\n" }
    }

    /// The result after repeated measurements, each with a limit in microseconds.
    ///
    /// A slow measurement means "interpreted" only where KVM may work without hardware virtualization; elsewhere the host was
    /// starved. It is measured twice: the first virtual machine of a KVM module just loaded, or of an emulated host, was observed
    /// to be very slow. After that each measurement has twice the time, because a starved host may use all of a short one for the
    /// setup.
    static func settled(
        usesProcessor: Bool, isTimeLeft: () -> Bool, _ measure: (_ limit: UInt32) -> KVMProbe
    ) -> KVMProbe {
        var limit: UInt32 = 40_000
        var probe = measure(limit)
        guard case .interpreted(let speed) = probe else { return probe }
        if usesProcessor { return .hardware(instructionsPerSecond: speed) }
        probe = measure(limit)
        while case .interpreted(let speed) = probe, speed < starvedThreshold, isTimeLeft() {
            limit *= 2
            probe = measure(limit)
        }
        return probe
    }

    private static func measure(_ device: String, limit: UInt32) -> KVMProbe {
        let descriptor: OwnedDescriptor
        do throws(SystemCallError) {
            descriptor = try OwnedDescriptor.open(device, O_RDWR)
        } catch {
            return unavailable(error)
        }
        var speed = vmlab_kvm_speed()
        let error = vmlab_kvm_speed(descriptor.number, 40_000, limit, &speed)
        guard error == 0 else {
            let failure = SystemCallError(speed.step.map { String(cString: $0) } ?? "ioctl", errno: error, device)
            return .unavailable(
                reason: "a scratch VM does not run: \(failure)", remedy: "guests run emulated by QEMU instead")
        }
        guard speed.api_version == 12 else {
            return .unavailable(
                reason: "\(device) speaks version \(speed.api_version) of the KVM interface, not 12",
                remedy: "use a Linux kernel of 2.6.22 or later")
        }
        let rate = Double(speed.instructions) * 1e9 / Double(max(speed.nanoseconds, 1))
        return rate >= hardwareThreshold
            ? .hardware(instructionsPerSecond: rate) : .interpreted(instructionsPerSecond: rate)
    }

    private static func unavailable(_ error: SystemCallError) -> KVMProbe {
        let remedy =
            switch error.errno {
            case ENOENT: "enable virtualization in the firmware and load kvm_intel or kvm_amd; emulation works without"
            case EACCES, EPERM: "join the group that owns it: `adduser $USER kvm`, then log in again"
            default: "guests run emulated by QEMU instead"
            }
        return .unavailable(reason: error.description, remedy: remedy)
    }
}
