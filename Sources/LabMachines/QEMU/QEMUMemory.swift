import HostSystem
import JSON
import GuestControl

/// Where a QEMU guest's RAM is.
///
/// Wherever it is, QEMU calls it by the name that it gives a q35 machine's RAM itself: so a state that was saved from one
/// kind of RAM can be restored into any other.
enum QEMUMemory: Sendable, Hashable {
    /// Nowhere but in the process.
    case anonymous
    /// In this file: what the guest writes is there for others to go on from.
    case kept(String)
    /// As this file says, which is never written to: what the guest changes is its own, page by page.
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

    /// The file that a saved state finds its memory in; nil when that is a part of the state.
    var file: String? {
        switch self {
        case .anonymous: nil
        case .kept(let path), .copied(let path): path
        }
    }

    /// What `-M` is told beyond the machine's type.
    var machineOption: String { file == nil ? "" : ",memory-backend=\(Self.name)" }

    func arguments(mebibytes: UInt64) -> [String] {
        guard let file else { return [] }
        let backend: JSONValue = [
            "qom-type": "memory-backend-file", "id": .string(Self.name), "mem-path": .string(file),
            "size": .integer(Int64(clamping: mebibytes) &* (1 << 20)), "share": .bool(self == .kept(file)),
        ]
        return ["-object", backend.line]
    }

    /// Makes the file that the guest will write to, readable to nobody else. Throws a `Diagnostic`.
    func prepare(mebibytes: UInt64) throws {
        guard case .kept(let path) = self else { return }
        do throws(SystemCallError) {
            try FileTree.makeSparseFile(path, size: mebibytes << 20)
        } catch {
            throw error.diagnostic("cannot make the guest's memory \(path)")
        }
    }
}
