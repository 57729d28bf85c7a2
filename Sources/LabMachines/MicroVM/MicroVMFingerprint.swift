import Glibc
import HostSystem

/// What the states of built-in machines can only be restored with: the program, whose every build may lay them out in its own
/// way, and the processor that its guests see, which is the host's as far as the host's kernel lets them.
enum MicroVMFingerprint {
    /// Nil when the program is not there.
    static func of(_ executable: String, on host: HostFacts = HostFacts()) -> String? {
        var status = stat()
        guard stat(executable, &status) == 0 else { return nil }
        let built = "\(status.st_size) bytes of \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
        return ["\(MicroVMProgram.name): \(built)", "kernel: \(host.kernelRelease)", "processor: \(host.processor)"]
            .joined(separator: "\n")
    }
}
