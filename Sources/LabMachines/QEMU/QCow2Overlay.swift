import Diagnostics
import Glibc
import HostSystem
import LabImages
import LabSpec

/// An empty qcow2 image over a backing file, as `qemu-img create -b` makes it, without starting a process. It contains a header
/// with the backing file and its format, an empty first-level table, and reference counts for these clusters. Terms are those of
/// QEMU's docs/interop/qcow2.txt.
struct QCow2Overlay: Sendable, Hashable {
    /// The backing file, absolute.
    var base: String
    var format: ImageDisk.Format
    /// The virtual size in bytes.
    var size: UInt64

    private static let clusterBits: UInt64 = 16
    private static let cluster: UInt64 = 1 << clusterBits
    /// A second-level table is a cluster of 8-byte entries, each for one cluster.
    private static let bytesPerTable = cluster * (cluster / 8)
    /// QEMU's limit for the length of a backing file's name.
    private static let longestName = 1023
    /// QEMU's limit: a first-level table of 32 MiB.
    private static let largestSize: UInt64 = 1 << 51

    /// An overlay over this base, of the same size: `size` bytes when known, else its length or the size in its header. Throws
    /// a `Diagnostic`.
    init(over base: String, _ format: ImageDisk.Format, size known: UInt64? = nil) throws {
        self.base = base
        self.format = format
        do throws(SystemCallError) {
            size = if let known { known } else { try format.virtualSize(of: base) }
        } catch {
            throw error.diagnostic(Self.what(base))
        }
        guard base.utf8.count <= Self.longestName else {
            throw Diagnostic(.host, Self.what(base), remedy: "give the disk a shorter path")
        }
        guard size <= Self.largestSize else {
            throw Diagnostic(
                .host, Self.what(base), remedy: "check that it is a \(format.rawValue) image",
                cause: "its size would be \(size) bytes")
        }
    }

    private static func what(_ base: String) -> String { "cannot make an overlay over the disk \(base)" }

    /// Writes the overlay to a new file. Throws a `Diagnostic`; the file is then removed.
    func write(to path: String) throws {
        do throws(SystemCallError) {
            try FileTree.makeSparseFile(path, size: length)
            do throws(SystemCallError) {
                let file = try OwnedDescriptor.open(path, O_WRONLY)
                for (offset, bytes) in pieces {
                    let number = file.number
                    let count = try systemCall("write", path) { pwrite(number, bytes, bytes.count, off_t(offset)) }
                    guard count == bytes.count else { throw SystemCallError("write", errno: ENOSPC, path) }
                }
            } catch {
                unlink(path)
                throw error
            }
        } catch {
            throw error.diagnostic(Self.what(base))
        }
    }

    /// At least one, so that the first-level table is never empty.
    private var tables: UInt64 { max(1, size / Self.bytesPerTable + (size % Self.bytesPerTable == 0 ? 0 : 1)) }
    private var tableClusters: UInt64 { (tables * 8 + Self.cluster - 1) / Self.cluster }
    /// In this order: the header, the reference counts' table, one block of them, the first-level table.
    private var clusters: UInt64 { 3 + tableClusters }
    private var length: UInt64 { clusters * Self.cluster }

    /// All nonzero bytes and their offsets.
    var pieces: [(offset: UInt64, bytes: [UInt8])] {
        var counts = Bytes()
        for _ in 0..<clusters { counts.append(1, 2) }
        var table = Bytes()
        table.append(2 * Self.cluster, 8)
        return [(0, header), (Self.cluster, table.bytes), (2 * Self.cluster, counts.bytes)]
    }

    private var header: [UInt8] {
        let headerLength: UInt64 = 104
        var extensions = Bytes()
        // The backing format, so that QEMU does not probe data that a guest wrote.
        let name = Array(format.driver.utf8)
        extensions.append(QCow2Header.backingFormat, 4)
        extensions.append(UInt64(name.count), 4)
        extensions.append(name, paddedTo: 8)
        // End of the header extensions.
        extensions.append(0, 8)

        var header = Bytes()
        header.append(QCow2Header.magic, paddedTo: 4)
        header.append(3, 4)
        header.append(headerLength + UInt64(extensions.bytes.count), 8)
        header.append(UInt64(base.utf8.count), 4)
        header.append(Self.clusterBits, 4)
        header.append(size, 8)
        // Encryption: none.
        header.append(0, 4)
        header.append(tables, 4)
        header.append(3 * Self.cluster, 8)
        header.append(Self.cluster, 8)
        header.append(1, 4)
        // No snapshots; no incompatible, compatible or autoclear features.
        for length in [4, 8, 8, 8, 8] { header.append(0, length) }
        // Refcount order 4: 16 bits.
        header.append(4, 4)
        header.append(headerLength, 4)
        return header.bytes + extensions.bytes + Array(base.utf8)
    }
}

/// A buffer of big-endian numbers.
private struct Bytes {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ value: UInt64, _ length: Int) {
        for index in (0..<length).reversed() { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))) }
    }

    mutating func append(_ text: [UInt8], paddedTo unit: Int) {
        bytes += text
        while bytes.count % unit != 0 { bytes.append(0) }
    }
}
