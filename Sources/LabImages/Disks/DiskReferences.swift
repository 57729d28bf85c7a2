import LabSpec

/// What a disk file's header says of other files.
struct DiskReferences: Sendable, Hashable {
    /// The file that is read where this one has nothing, as it is written there.
    var backing: String?
    /// How that is laid out; nil when the header does not say.
    var backingDriver: String?
    /// The file that has this one's data.
    var data: String?

    /// Why a file of this format cannot be attached, as a sentence goes on that begins with its path.
    struct Refusal: Error {
        let reason: String
    }

    /// Reads the header. Throws a `Refusal` when it is damaged or asks for what is not supported.
    static func of(
        _ file: borrowing DiskFile, _ format: ImageDisk.Format
    ) throws(Refusal) -> DiskReferences {
        switch format {
        case .raw, .vhdx, .parallels, .iso: return DiskReferences()
        case .qcow2: return try qcow2(file)
        case .qed:
            // Bit 0 of its features: a file beneath it.
            guard let features = file.littleEndian(at: 16, 8) else { throw damaged }
            if features & 1 != 0 { throw Refusal(reason: "has a backing file") }
        case .vdi:
            if file.littleEndian(at: 0x4c, 4) == 4 { throw Refusal(reason: "is a differencing disk") }
        case .vhd:
            // Type 4 in the description at the end, or its copy at the start.
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

    /// A file that has all of its disk says its capacity, and that it has no parent.
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
