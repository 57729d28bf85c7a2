import Glibc
import HostSystem
import VirtualHardware

/// The memory of a machine that will be saved, kept in the snapshot's file from the start so that saving copies nothing. After the
/// save the machine stays paused, because clones share its memory.
package final class GoldenMemory: Sendable {
    package let files: SnapshotFiles
    private let size: UInt64
    let file: OwnedDescriptor

    /// The memory of the machine, as long as this object lives.
    package var backing: GuestMemory.Backing { .file(file.number) }

    /// Creates the file. Throws the kernel's error, `EEXIST` for an existing file.
    package init(_ files: SnapshotFiles, size: UInt64) throws(SystemCallError) {
        let path = files.memoryPath
        file = try OwnedDescriptor.open(path, O_RDWR | O_CREAT | O_EXCL)
        try file.resize(to: size, path)
        self.files = files
        self.size = size
    }

    /// Writes the snapshot's identity, the last write to the file.
    func finish(identity: [UInt8]) throws(SystemCallError) {
        try SnapshotLabel.write(.memory, after: size, identity: identity, to: file, files.memoryPath)
    }
}
