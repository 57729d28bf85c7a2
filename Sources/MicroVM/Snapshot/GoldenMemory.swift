import Glibc
import HostSystem
import VirtualHardware

/// The memory of a machine that will be written down: it is kept in the snapshot's file from the start, so that nothing is
/// copied then. Once that has happened the machine stands still, as its memory is others' too.
package final class GoldenMemory: Sendable {
    package let files: SnapshotFiles
    private let size: UInt64
    let file: OwnedDescriptor

    /// The memory of the machine, as long as this object lives.
    package var backing: GuestMemory.Backing { .file(file.number) }

    /// Makes the file. Throws what the kernel says, `EEXIST` for one that is there.
    package init(_ files: SnapshotFiles, size: UInt64) throws(SystemCallError) {
        let path = files.memoryPath
        file = try OwnedDescriptor.open(path, O_RDWR | O_CREAT | O_EXCL)
        try file.resize(to: size, path)
        self.files = files
        self.size = size
    }

    /// Says whose memory it is: the last that is written to the file.
    func finish(identity: [UInt8]) throws(SystemCallError) {
        try SnapshotLabel.write(.memory, after: size, identity: identity, to: file, files.memoryPath)
    }
}
