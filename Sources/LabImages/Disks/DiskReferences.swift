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
    struct Obstacle: Error {
        let reason: String
    }

    /// Reads the header. Throws an `Obstacle` when it is damaged or asks for what is not supported.
    static func of(
        _ file: borrowing DiskFile, _ format: ImageDisk.Format
    ) throws(Obstacle) -> DiskReferences {
        switch format {
        case .raw, .vhdx, .parallels, .iso: return DiskReferences()
        case .qcow2: return try qcow2(file)
        case .qed:
            // Bit 0 of its features: a file beneath it.
            guard let features = file.littleEndian(at: 16, 8) else { throw damaged }
            if features & 1 != 0 { throw Obstacle(reason: "lies over another file") }
        case .vdi:
            if file.littleEndian(at: 0x4c, 4) == 4 { throw Obstacle(reason: "is the difference to another disk") }
        case .vhd:
            // Type 4 in the description at the end, or its copy at the start.
            let type = file.bytes(at: .end(512 - 60), 4)
            if type == [0, 0, 0, 4] { throw Obstacle(reason: "is the difference to another disk") }
        case .vmdk: try checkVMDK(file)
        }
        return DiskReferences()
    }

    private static let damaged = Obstacle(reason: "has a damaged header")

    /// The words are those of QEMU's docs/interop/qcow2.txt.
    private static func qcow2(_ file: borrowing DiskFile) throws(Obstacle) -> DiskReferences {
        let longestName: UInt64 = 1023
        guard let version = file.bigEndian(at: 4, 4), let offset = file.bigEndian(at: 8, 8),
            let length = file.bigEndian(at: 16, 4), let encryption = file.bigEndian(at: 32, 4),
            [2, 3].contains(version), length <= longestName
        else { throw damaged }
        if encryption != 0 { throw Obstacle(reason: "is encrypted") }
        let isThird = version == 3
        let hasDataFile = isThird && (file.bigEndian(at: 72, 8) ?? 0) & 4 != 0
        var references = DiskReferences()
        if offset != 0, length != 0 {
            let name = file.bytes(at: offset, Int(length))
            guard name.count == Int(length), !name.contains(0) else { throw damaged }
            references.backing = String(decoding: name, as: UTF8.self)
        }
        let extensions = extensions(file, from: isThird ? file.bigEndian(at: 100, 4) ?? 104 : 72)
        references.backingDriver = extensions[0xe279_2aca]
        if hasDataFile {
            guard let data = extensions[0x4441_5441] else { throw damaged }
            references.data = data
        }
        return references
    }

    /// The header's extensions that are text, by their numbers.
    private static func extensions(_ file: borrowing DiskFile, from start: UInt64) -> [UInt64: String] {
        var found: [UInt64: String] = [:]
        var place = start
        // They end with number 0, and in the first cluster, of at most 2 MiB.
        while place < 2 << 20, let number = file.bigEndian(at: place, 4), number != 0,
            let length = file.bigEndian(at: place + 4, 4), length < 4096
        {
            found[number] = String(decoding: file.bytes(at: place + 8, Int(length)), as: UTF8.self)
            place += 8 + (length + 7) / 8 * 8
        }
        return found
    }

    /// A file that has all of its disk says its capacity, and that it has no parent.
    private static func checkVMDK(_ file: borrowing DiskFile) throws(Obstacle) {
        let sector: UInt64 = 512
        let mostDescription: UInt64 = 20
        guard let capacity = file.littleEndian(at: 12, 8), let place = file.littleEndian(at: 28, 8),
            let length = file.littleEndian(at: 36, 8), place < 1 << 40
        else { throw damaged }
        if capacity == 0 { throw Obstacle(reason: "describes other files") }
        let text = file.bytes(at: place * sector, Int(min(length, mostDescription) * sector))
        if String(decoding: text, as: UTF8.self).contains("parentFileNameHint") {
            throw Obstacle(reason: "is the difference to another disk")
        }
    }
}
