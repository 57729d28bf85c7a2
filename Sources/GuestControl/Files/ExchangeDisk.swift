import Glibc
import HostSystem
import LabSpec
import Quantities

/// A disk that only carries tar streams between the host and one guest: a sparse raw file that the guest sees as a virtio
/// disk. Only one side uses it at a time.
struct ExchangeDisk: ~Copyable {
    /// Virtual size. The file takes what is copied, and gives it back after each copy.
    static let size = ByteCount.gibibytes(64)
    /// The virtio serial by which the guest finds it.
    static let serial = "vmlab-xchg"

    private let file: OwnedDescriptor

    /// Makes an empty one. Throws when the file system cannot hold such a sparse file.
    static func make(at path: String) throws(SystemCallError) {
        try FileTree.makeSparseFile(path, size: size.bytes)
    }

    /// Opens it for one copy, at its beginning.
    init(opening path: String) throws(SystemCallError) {
        file = try OwnedDescriptor.open(path, O_RDWR)
    }

    deinit {
        file.punchHole(length: Self.size.bytes)
    }

    /// How many bytes have been written or read since it was opened, by us or by who inherited the descriptor.
    func position() throws(SystemCallError) -> Int {
        let position = lseek(file.number, 0, SEEK_CUR)
        guard position >= 0 else { throw SystemCallError("lseek") }
        return Int(position)
    }

    /// For reading and writing the stream; valid while the value lives.
    var descriptor: Int32 { file.number }
}
