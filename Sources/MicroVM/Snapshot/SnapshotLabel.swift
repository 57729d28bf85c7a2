import Glibc
import HostSystem
import VirtualHardware

/// The last page of each file that belongs to a snapshot and is too large for a checksum: it says whose file it is. It is
/// written last, so that a file without it was not written to its end.
enum SnapshotLabel {
    enum Kind: String {
        case memory = "VMLABMEM"
        case layer = "VMLABLAY"
    }

    static let pageSize = 4096

    /// Magic, version, bytes before it, identity.
    private static func bytes(_ kind: Kind, _ size: UInt64, _ identity: [UInt8]) -> [UInt8] {
        var label = StateEncoder()
        for byte in kind.rawValue.utf8 { label.add(byte) }
        label.add(MachineSnapshot.version)
        label.add(size)
        label.add(identity)
        return label.bytes
    }

    /// Ends a file whose contents have `size` bytes. Throws what the kernel says.
    static func write(
        _ kind: Kind, after size: UInt64, identity: [UInt8], to file: borrowing OwnedDescriptor, _ path: String
    ) throws(SystemCallError) {
        try file.resize(to: size + UInt64(pageSize), path)
        try writeAll(file.number, bytes(kind, size, identity)[...], at: Int(size), path)
    }

    /// Opens a snapshot's file with contents of `size` bytes; `what` names it in messages. Throws why it is not that file.
    static func open(
        _ kind: Kind, _ path: String, size: UInt64, identity: [UInt8], _ what: String
    ) throws(SnapshotError) -> HostFile {
        let expected = bytes(kind, size, identity)
        let (file, label): (HostFile, [UInt8])
        do throws(SystemCallError) {
            file = try HostFile(path)
            label = try file.bytes(at: size, count: expected.count)
        } catch {
            throw SnapshotError("\(what) cannot be read: \(error)")
        }
        let (whole, overflow) = size.addingReportingOverflow(UInt64(pageSize))
        guard !overflow, file.size == whole else {
            throw SnapshotError("\(what) in \(path) has \(file.size) bytes instead of \(whole)")
        }
        guard label == expected else {
            throw SnapshotError("\(what) in \(path) belongs to another machine, or is incomplete")
        }
        return file
    }
}
