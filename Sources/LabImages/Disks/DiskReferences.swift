import LabSpec

/// The references of a disk file's header to other files.
struct DiskReferences: Sendable, Hashable {
    /// The backing file, as written in the header.
    var backing: String?
    /// The format of the backing file; nil when the header has none.
    var backingDriver: String?
    /// The external data file.
    var data: String?

    /// Why a file of this format cannot be attached; completes a sentence that begins with its path.
    struct Refusal: Error {
        let reason: String
    }

    /// Reads the header. Throws a `Refusal` when it is damaged or needs unsupported features.
    static func of(
        _ file: borrowing DiskFile, _ format: ImageDisk.Format
    ) throws(Refusal) -> DiskReferences {
        switch format {
        case .raw, .vhdx, .parallels, .iso: return DiskReferences()
        case .qcow2: return try qcow2(file)
        case .qed:
            // Bit 0 of the features: has a parent.
            guard let features = file.littleEndian(at: 16, 8) else { throw damaged }
            if features & 1 != 0 { throw Refusal(reason: "has a backing file") }
        case .vdi:
            if file.littleEndian(at: 0x4c, 4) == 4 { throw Refusal(reason: "is a differencing disk") }
        case .vhd:
            // Disk type 4 (differencing) in the footer, or in its copy at the start.
            let type = file.bytes(at: .end(512 - 60), 4)
            if type == [0, 0, 0, 4] { throw Refusal(reason: "is a differencing disk") }
        case .vmdk: try checkVMDK(file)
        }
        return DiskReferences()
    }

    private static let damaged = Refusal(reason: "has a damaged header")

    private static func qcow2(_ file: borrowing DiskFile) throws(Refusal) -> DiskReferences {
        guard let header = QCow2Header(file) else { throw damaged }
        if header.isEncrypted { throw Refusal(reason: "is encrypted") }
        return DiskReferences(backing: header.backing, backingDriver: header.backingDriver, data: header.data)
    }

    /// Checks that a VMDK has its whole disk: a capacity and no parent.
    private static func checkVMDK(_ file: borrowing DiskFile) throws(Refusal) {
        let sector: UInt64 = 512
        let mostDescription: UInt64 = 20
        guard let capacity = file.littleEndian(at: 12, 8), let place = file.littleEndian(at: 28, 8),
            let length = file.littleEndian(at: 36, 8), place < 1 << 40
        else { throw damaged }
        if capacity == 0 { throw Refusal(reason: "describes other files") }
        let text = file.bytes(at: place * sector, Int(min(length, mostDescription) * sector))
        if String(decoding: text, as: UTF8.self).contains("parentFileNameHint") {
            throw Refusal(reason: "is a differencing disk")
        }
    }
}
