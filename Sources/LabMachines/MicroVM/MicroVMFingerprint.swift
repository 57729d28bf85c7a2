import HostSystem

/// What the states of built-in machines can only be restored with: the program, whose every build may lay them out in its own
/// way, and the processor that its guests see, which is the host's as far as the host's kernel lets them.
enum MicroVMFingerprint {
    /// Nil when the program is not there.
    static func of(_ executable: String, on host: HostFacts = HostFacts()) -> String? {
        guard let stamp = FileStamp(executable) else { return nil }
        return ["\(MicroVMProgram.name): \(stamp)", "kernel: \(host.kernelRelease)", "processor: \(host.processor)"]
            .joined(separator: "\n")
    }
}
