import Diagnostics
import Glibc
import HostSystem
import LabSpec

/// How a disk wants to be booted, by its first sectors.
struct BootSectors {
    /// The bytes that are looked at: the master boot record, and GPT's header and table (UEFI 2.10, 5.3).
    static let count = 34 * 512

    /// Whether the first sector has a program for BIOS.
    let hasBIOSCode: Bool
    /// Whether there is an EFI system partition.
    let hasSystemPartition: Bool

    init(_ bytes: [UInt8]) {
        func number(_ place: Int, _ size: Int) -> UInt64 {
            guard place >= 0, place + size <= bytes.count else { return 0 }
            return (0..<size).reduce(0) { $0 | UInt64(bytes[place + $1]) << (8 * $1) }
        }
        let isRecord = number(510, 2) == 0xaa55
        // Before the disk's signature and the partitions. Some partitioning programs leave a jump that says that it cannot boot.
        hasBIOSCode = isRecord && bytes.prefix(440).contains { $0 != 0 }
        let kinds = (0..<4).map { bytes.count > 446 + 16 * $0 + 4 ? bytes[446 + 16 * $0 + 4] : 0 }
        var hasSystemPartition = isRecord && kinds.contains(0xef)
        if isRecord, kinds.contains(0xee), Array(bytes.dropFirst(512).prefix(8)) == Array("EFI PART".utf8) {
            // A damaged table is one without that partition.
            let entries = min(Int(clamping: number(512 + 72, 8)), 33) * 512
            let size = min(max(Int(number(512 + 84, 4)), 128), 4096)
            hasSystemPartition = (0..<min(Int(number(512 + 80, 4)), 128)).contains {
                Array(bytes.dropFirst(entries + $0 * size).prefix(16)) == Self.systemPartition
            }
        }
        self.hasSystemPartition = hasSystemPartition
    }

    /// C12A7328-F81F-11D2-BA4B-00A0C93EC93B, as GPT has it.
    private static let systemPartition: [UInt8] = [
        0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
    ]
}

/// How a disk that a lab brings is booted.
enum DiskStart: Sendable, Hashable {
    /// As the lab says, or by BIOS.
    case asDeclared
    /// By this firmware.
    case firmware(String)
    /// It has no boot loader.
    case nothing
}

/// UEFI for guests.
enum Firmware {
    /// Where distributions put OVMF as one file.
    private static let places = [
        "/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF.fd", "/usr/share/edk2/ovmf/OVMF.fd",
        "/usr/share/edk2/x64/OVMF.4m.fd", "/usr/share/edk2-ovmf/x64/OVMF.fd", "/usr/share/qemu/ovmf-x86_64.bin",
    ]

    /// The host's OVMF; nil when it has none.
    static var found: String? { places.first { access($0, R_OK) == 0 } }
}

extension ImageStore {
    /// How a lab's own disk is booted: by the lab's kernel or firmware, by BIOS, by the host's OVMF, or not at all. Throws a
    /// `Diagnostic` when the host has no OVMF for it.
    func start(of image: BootableImage, declared: DeclaredImage) async throws -> DiskStart {
        guard image.firmware == nil, image.kernel == nil, let disk = image.disks.last, disk.format != .iso else {
            return .asDeclared
        }
        let sectors = BootSectors(try await firstSectors(of: disk))
        if sectors.hasBIOSCode { return .asDeclared }
        guard sectors.hasSystemPartition else { return .nothing }
        guard let firmware = Firmware.found else {
            throw Diagnostic(
                .host, "the disk \(disk.path) boots by UEFI, and this host has no OVMF",
                remedy: "on Debian: `apt-get install ovmf`; or name a firmware file by `firmware:`",
                at: declared.declaration.keySpans["disk"] ?? declared.declaration.span)
        }
        return .firmware(firmware)
    }

    private func firstSectors(of disk: ImageDisk) async throws -> [UInt8] {
        if disk.format == .raw { return (try? SmallFile.bytes(disk.path, limit: BootSectors.count)) ?? [] }
        let folder = try makeScratch()
        defer { try? FileTree.remove(folder) }
        try await Tool.run(
            "qemu-img",
            [
                "dd", "-f", disk.format.driver, "-O", "raw", "bs=512", "count=\(BootSectors.count / 512)",
                "if=\(disk.path)", "of=\(folder)/first",
            ], package: "qemu-utils"
        ).checked("the disk \(disk.path) cannot be read", category: .image)
        return (try? SmallFile.bytes("\(folder)/first", limit: BootSectors.count)) ?? []
    }
}
