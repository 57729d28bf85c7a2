import Glibc
import HostSystem
import LabSpec
import Quantities

/// A disk that carries tar streams between the host and one guest: a sparse raw file, a virtio disk in the guest. Only one side
/// uses it at a time.
struct ExchangeDisk: ~Copyable {
    /// The virtual size. The file uses space during a copy and releases it afterwards.
    static let size = ByteCount.gibibytes(64)
    /// The virtio serial by which the guest finds it.
    static let serial = "vmlab-xchg"

    private let file: OwnedDescriptor

    /// Creates an empty one. Throws when the file system cannot hold such a sparse file.
    static func make(at path: String) throws(SystemCallError) {
        try FileTree.makeSparseFile(path, size: size.bytes)
    }

    /// Opens it for one copy, at offset 0.
    init(opening path: String) throws(SystemCallError) {
        file = try OwnedDescriptor.open(path, O_RDWR)
    }

    deinit {
        file.punchHole(length: Self.size.bytes)
    }

    /// The current offset, which includes reads and writes by a child with the descriptor.
    func position() throws(SystemCallError) -> Int {
        let position = lseek(file.number, 0, SEEK_CUR)
        guard position >= 0 else { throw SystemCallError("lseek") }
        return Int(position)
    }

    /// For the stream; valid for the lifetime of this value.
    var descriptor: Int32 { file.number }
}
