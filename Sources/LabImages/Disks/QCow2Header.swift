import LabSpec

/// The header of a qcow2 file. Terms are those of QEMU's docs/interop/qcow2.txt.
package struct QCow2Header: Sendable, Hashable {
    /// The magic bytes of both formats, qcow and qcow2.
    package static let magic: [UInt8] = [0x51, 0x46, 0x49, 0xfb]
    /// The extension type for the backing file's format.
    package static let backingFormat: UInt64 = 0xe279_2aca
    /// The extension type for the external data file's name.
    private static let externalData: UInt64 = 0x4441_5441
    private static let longestName: UInt64 = 1023

    /// The virtual size in bytes.
    let size: UInt64
    let isEncrypted: Bool
    /// The backing file, as written in the header.
    let backing: String?
    /// QEMU's driver name for the backing file; nil when the header has none.
    let backingDriver: String?
    /// The external data file.
    let data: String?

    /// Reads the header; nil when it is damaged.
    init?(_ file: borrowing DiskFile) {
        guard file.bytes(at: 0, 4) == Self.magic, let version = file.bigEndian(at: 4, 4), [2, 3].contains(version),
            let name = file.bigEndian(at: 8, 8), let length = file.bigEndian(at: 16, 4), length <= Self.longestName,
            let size = file.bigEndian(at: 24, 8), let encryption = file.bigEndian(at: 32, 4)
        else { return nil }
        self.size = size
        isEncrypted = encryption != 0
        if name != 0, length != 0 {
            let bytes = file.bytes(at: name, Int(length))
            guard bytes.count == Int(length), !bytes.contains(0) else { return nil }
            backing = String(decoding: bytes, as: UTF8.self)
        } else {
            backing = nil
        }
        let extensions = Self.extensions(file, from: version == 3 ? file.bigEndian(at: 100, 4) ?? 104 : 72)
        backingDriver = extensions[Self.backingFormat]
        let hasDataFile = version == 3 && (file.bigEndian(at: 72, 8) ?? 0) & 4 != 0
        data = hasDataFile ? extensions[Self.externalData] : nil
        if hasDataFile, data == nil { return nil }
    }

    /// The textual header extensions, by type.
    private static func extensions(_ file: borrowing DiskFile, from start: UInt64) -> [UInt64: String] {
        var found: [UInt64: String] = [:]
        var place = start
        // They end with type 0, within the first cluster of at most 2 MiB.
        while place < 2 << 20, let number = file.bigEndian(at: place, 4), number != 0,
            let length = file.bigEndian(at: place + 4, 4), length < 4096
        {
            found[number] = String(decoding: file.bytes(at: place + 8, Int(length)), as: UTF8.self)
            place += 8 + (length + 7) / 8 * 8
        }
        return found
    }
}
