import LabSpec
import Quantities

/// The host memory of one QEMU beyond its guest's RAM.
///
/// Measured with QEMU 7.2 on Debian 12: the private dirty pages outside the guest's RAM (`smaps`) of a q35 guest of
/// 256 MiB with Debian's 6.1 kernel, after boot and after 1,800 busybox programs, emulated:
///
/// | tb-size | after boot | after work |
/// | --- | --- | --- |
/// | 32 MiB | 51 MiB | 51 MiB (full) |
/// | 64 MiB | 66 MiB | 68 MiB |
/// | 128 MiB | 66 MiB | 69 MiB |
///
/// So QEMU itself takes 20 MiB, and the translation cache its configured size once the guest has run enough code. The program's
/// text and the kernel's file, another 70 MiB of RSS, are page cache that all guests share.
enum MeasuredOverhead {
    /// QEMU's own heap, stacks and device state, with a margin of one half.
    private static let base = ByteCount.mebibytes(32)
    /// Each further vCPU: thread, stack and jump cache.
    private static let processor = ByteCount.mebibytes(1)

    static func of(_ accelerator: QEMUCommandLine.Accelerator, cpus: Int) -> ByteCount {
        let processors = ByteCount(processor.bytes * UInt64(max(cpus, 1)))
        switch accelerator {
        case .tcg: return base + processors + .mebibytes(UInt64(QEMUCommandLine.translationCache))
        case .kvm: return base + processors
        }
    }
}
