import HostSystem
import JSON
import GuestControl

/// Where a QEMU guest's RAM is. The memory backend always has the name that QEMU gives a q35 machine's default RAM, so that a state
/// saved with one kind can be restored with any other.
enum QEMUMemory: Sendable, Hashable {
    /// Anonymous memory of the process.
    case anonymous
    /// This file, shared: the guest's writes go to it, for clones to map.
    case kept(String)
    /// This file, mapped copy-on-write: it is never written to.
    case copied(String)

    private static let name = "pc.ram"

    init(of configuration: MachineConfiguration) {
        if let saved = configuration.restoring {
            self = saved.memory.map { .copied($0) } ?? .anonymous
        } else if let folder = configuration.goldenFolder {
            self = .kept("\(folder)/memory")
        } else {
            self = .anonymous
        }
    }

    /// The file with a saved state's memory; nil when the memory is part of the state.
    var file: String? {
        switch self {
        case .anonymous: nil
        case .kept(let path), .copied(let path): path
        }
    }

    /// The addition to `-M` after the machine's type.
    var machineOption: String { file == nil ? "" : ",memory-backend=\(Self.name)" }

    func arguments(mebibytes: UInt64) -> [String] {
        guard let file else { return [] }
        let backend: JSONValue = [
            "qom-type": "memory-backend-file", "id": .string(Self.name), "mem-path": .string(file),
            "size": .integer(Int64(clamping: mebibytes) &* (1 << 20)), "share": .bool(self == .kept(file)),
        ]
        return ["-object", backend.line]
    }

    /// Makes the file for the guest's RAM, readable only by its owner. Throws a `Diagnostic`.
    func prepare(mebibytes: UInt64) throws {
        guard case .kept(let path) = self else { return }
        do throws(SystemCallError) {
            try FileTree.makeSparseFile(path, size: mebibytes << 20)
        } catch {
            throw error.diagnostic("cannot make the guest's memory \(path)")
        }
    }
}
