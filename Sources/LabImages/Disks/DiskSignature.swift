import LabSpec

/// The signature of a disk format: bytes at a fixed offset. A file without a signature is raw. A raw disk's content may imitate
/// another format, so that the host would open other files for the guest. Therefore only files from outside are probed, `format:`
/// overrides the result, QEMU gets the format explicitly, and no layer may lead out of what the lab may read (`HostAccess`).
struct DiskSignature: Sendable {
    enum Place: Sendable, Hashable {
        case start(Int)
        case end(Int)
    }

    /// How a file with this signature can be used.
    enum Meaning: Sendable, Hashable {
        /// QEMU attaches it directly.
        case attached(ImageDisk.Format)
        /// It must be converted first: `qemu-img` reads it with this driver, which is old and rarely used.
        case converted(driver: String)
        /// A compressed or archived disk, with the command that unpacks it; the file's path is appended.
        case packed(command: String)
    }

    /// The format's name for messages.
    let name: String
    let place: Place
    let bytes: [UInt8]
    let meaning: Meaning
    /// The usual file extensions.
    let suffixes: [String]

    private init(_ name: String, _ suffixes: [String], _ place: Place, _ bytes: [UInt8], _ meaning: Meaning) {
        (self.name, self.suffixes, self.place, self.bytes, self.meaning) = (name, suffixes, place, bytes, meaning)
    }

    private init(_ name: String, _ suffixes: [String], _ place: Place, _ text: String, _ meaning: Meaning) {
        self.init(name, suffixes, place, Array(text.utf8), meaning)
    }

    /// All known signatures, in the order of detection.
    static let all: [DiskSignature] = [
        // Version 1 has another layout.
        .init("qcow", [], .start(0), QCow2Header.magic + [0, 0, 0, 1], .converted(driver: "qcow")),
        .init("qcow2", ["qcow2"], .start(0), QCow2Header.magic, .attached(.qcow2)),
        .init("VMDK", [], .start(0), "KDMV", .attached(.vmdk)),
        .init("VMDK of an ESX host", [], .start(0), "COWD", .converted(driver: "vmdk")),
        .init("VMDK description", [], .start(0), "# Disk DescriptorFile", .converted(driver: "vmdk")),
        .init("VDI", ["vdi"], .start(0x40), [0x7f, 0x10, 0xda, 0xbe], .attached(.vdi)),
        .init("VHDX", ["vhdx"], .start(0), "vhdxfile", .attached(.vhdx)),
        .init("QED", ["qed"], .start(0), [0x51, 0x45, 0x44, 0], .attached(.qed)),
        .init("Parallels", ["hdd", "hds"], .start(0), "WithoutFreeSpace", .attached(.parallels)),
        .init("Parallels", ["hdd", "hds"], .start(0), "WithouFreSpacExt", .attached(.parallels)),
        // A fixed VHD has only a footer.
        .init("VHD", ["vhd"], .end(512), "conectix", .attached(.vhd)),
        .init("VHD", ["vhd"], .start(0), "conectix", .attached(.vhd)),
        // The primary volume descriptor, in sector 16 (from 0).
        .init("ISO 9660", ["iso"], .start(0x8001), "CD001", .attached(.iso)),
        .init("cloop", [], .start(0), "#!/bin/sh\n#V2.0 Format\n", .converted(driver: "cloop")),
        .init("DMG", ["dmg"], .end(512), "koly", .converted(driver: "dmg")),
        .init("Bochs", [], .start(0), "Bochs Virtual HD Image", .converted(driver: "bochs")),
        .init("gzip", ["gz"], .start(0), [0x1f, 0x8b, 8], .packed(command: "gunzip -k")),
        .init("xz", ["xz"], .start(0), [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], .packed(command: "unxz -k")),
        .init("Zstandard", ["zst"], .start(0), [0x28, 0xb5, 0x2f, 0xfd], .packed(command: "unzstd")),
        .init("bzip2", ["bz2"], .start(4), [0x31, 0x41, 0x59, 0x26, 0x53, 0x59], .packed(command: "bunzip2 -k")),
        .init("LZ4", ["lz4"], .start(0), [0x04, 0x22, 0x4d, 0x18], .packed(command: "unlz4")),
        .init("LZIP", ["lz"], .start(0), "LZIP", .packed(command: "lzip -dk")),
        .init("ZIP", ["zip"], .start(0), [0x50, 0x4b, 3, 4], .packed(command: "unzip")),
        .init("7z", ["7z"], .start(0), [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c], .packed(command: "7z x")),
        .init("RAR", ["rar"], .start(0), [0x52, 0x61, 0x72, 0x21, 0x1a, 7], .packed(command: "unrar x")),
        .init("Android sparse image", [], .start(0), [0x3a, 0xff, 0x26, 0xed], .packed(command: "simg2img")),
        .init("WIM", ["wim", "esd"], .start(0), "MSWIM\0\0\0", .packed(command: "wimlib-imagex apply")),
        .init("Proxmox backup", ["vma"], .start(0), [0x56, 0x4d, 0x41, 0], .packed(command: "vma extract")),
    ]

    /// The signature of a file; nil for a raw one.
    static func of(_ file: borrowing DiskFile) -> DiskSignature? {
        if let found = all.first(where: { file.bytes(at: $0.place, $0.bytes.count) == $0.bytes }) { return found }
        // An OVA is a tar archive that begins with the OVF descriptor; other tar archives may be raw content.
        let isArchive = file.bytes(at: .start(257), 5) == Array("ustar".utf8)
        let name = file.bytes(at: .start(0), 100).prefix { $0 != 0 }
        guard isArchive, String(decoding: name, as: UTF8.self).lowercased().hasSuffix(".ovf") else { return nil }
        return .init("OVA", ["ova"], .start(257), "ustar", .packed(command: "tar -xf"))
    }

    /// The format that the file's extension implies; nil when that is uncertain. A VMDK's extents are raw files with that
    /// extension too.
    static func promised(by path: String) -> DiskSignature? {
        guard let dot = path.lastIndex(of: "."), !path[dot...].contains("/") else { return nil }
        let suffix = path[path.index(after: dot)...].lowercased()
        return all.first { $0.suffixes.contains(suffix) }
    }
}
