import LabSpec

/// What one QEMU costs the host beyond its guest's RAM.
enum MeasuredOverhead {
    static func of(_ accelerator: QEMUCommandLine.Accelerator, cpus: Int) -> ByteCount {
        switch accelerator {
        case .tcg: .mebibytes(128)
        case .kvm: .mebibytes(64)
        }
    }
}
