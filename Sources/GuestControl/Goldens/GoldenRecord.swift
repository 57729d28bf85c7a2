import FoundationEssentials
import Glibc
import HostSystem
import LabSpec

/// A saved machine as a golden's folder holds it: the file `machine.json`, in which paths are relative to the folder.
struct GoldenRecord: Codable {
    private struct Disk: Codable {
        var place: Int
        var file: String
        var format: String
    }

    private static let name = "machine.json"

    private var state: String
    private var memory: String?
    private var disks: [Disk]

    /// The record of a machine whose files all lie in one folder.
    init(_ machine: SavedMachine) {
        func name(_ path: String) -> String {
            String(path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...])
        }
        state = name(machine.state)
        memory = machine.memory.map(name)
        disks = machine.disks.sorted { $0.key < $1.key }.map {
            Disk(place: $0.key, file: name($0.value.path), format: $0.value.format.rawValue)
        }
    }

    /// Writes the record into the folder. Throws a `SystemCallError`.
    func write(in folder: String) throws {
        let file = try OwnedDescriptor.open("\(folder)/\(Self.name)", O_WRONLY | O_CREAT | O_EXCL)
        try writeAll(file.number, Array(try JSONEncoder().encode(self))[...])
    }

    /// The machine in the folder. Throws when the record is not there or makes no sense.
    static func machine(in folder: String) throws -> SavedMachine {
        let bytes = try SmallFile.bytes("\(folder)/\(name)")
        let record = try JSONDecoder().decode(GoldenRecord.self, from: Data(bytes))
        var disks: [Int: SavedMachine.Disk] = [:]
        for disk in record.disks {
            guard let format = ImageDisk.Format(rawValue: disk.format) else { throw CocoaError(.fileReadCorruptFile) }
            disks[disk.place] = SavedMachine.Disk(path: "\(folder)/\(disk.file)", format: format)
        }
        return SavedMachine(
            state: "\(folder)/\(record.state)", memory: record.memory.map { "\(folder)/\($0)" }, disks: disks)
    }
}
