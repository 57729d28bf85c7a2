import Glibc
import HostSystem
import Synchronization

/// A file without a name, gone with its owner.
struct TemporaryFile: ~Copyable {
    private let file: OwnedDescriptor

    /// Where such files are.
    static var folder: String { Environment["TMPDIR"] ?? "/tmp" }

    init() throws(SystemCallError) {
        let folder = Self.folder
        do throws(SystemCallError) {
            file = try OwnedDescriptor.open(folder, O_RDWR | __O_TMPFILE)
        } catch {
            // Not every file system can (some overlays): then one with a name, for a moment.
            let path = "\(folder)/vmlab-\(getpid())-\(UInt64.random(in: 0 ... .max))"
            file = try OwnedDescriptor.open(path, O_RDWR | O_CREAT | O_EXCL)
            unlink(path)
        }
    }

    /// Valid while the value lives.
    var descriptor: Int32 { file.number }

    /// Goes back to the beginning.
    func rewind() throws(SystemCallError) {
        guard lseek(file.number, 0, SEEK_SET) == 0 else { throw SystemCallError("lseek") }
    }
}

/// Writes all of the bytes to a blocking descriptor.
func writeAll(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) throws(SystemCallError) {
    var rest = bytes
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 {
            if errno == EINTR { continue }
            throw SystemCallError("write")
        }
        rest = rest.dropFirst(count)
    }
}

/// An archive that comes over a guest's console, kept as far as it may go.
final class BoundedArchive: Sendable {
    private struct State: ~Copyable {
        var file: TemporaryFile
        var room: UInt64
        var isWhole = true
        var trouble: SystemCallError?
    }

    private let state: Mutex<State>
    /// Valid while the archive lives.
    let descriptor: Int32

    /// An empty one that may have so many bytes.
    init(limit: UInt64) throws(SystemCallError) {
        let file = try TemporaryFile()
        descriptor = file.descriptor
        state = Mutex(State(file: file, room: limit))
    }

    /// Takes what the guest sent; beyond the limit, and after a failure to write, nothing is kept.
    func append(_ bytes: ArraySlice<UInt8>) {
        state.withLock { state in
            guard state.isWhole, bytes.count <= state.room else {
                state.isWhole = false
                return
            }
            state.room -= UInt64(bytes.count)
            do throws(SystemCallError) {
                try writeAll(state.file.descriptor, bytes)
            } catch {
                (state.isWhole, state.trouble) = (false, error)
            }
        }
    }

    /// All that was written to it.
    func bytes() throws(SystemCallError) -> [UInt8] { try SmallFile.bytes("/proc/self/fd/\(descriptor)", limit: .max) }

    /// Goes back to its beginning. False when more came than it may have; throws what kept it from being written.
    func finish() throws(SystemCallError) -> Bool {
        let (isWhole, trouble) = state.withLock { ($0.isWhole, $0.trouble) }
        if let trouble { throw trouble }
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { throw SystemCallError("lseek") }
        return isWhole
    }
}
