import Glibc
import HostSystem
import Synchronization

/// An archive received over a guest's console, up to a limit.
final class BoundedArchive: Sendable {
    private struct State: ~Copyable {
        var file: OwnedDescriptor
        var room: UInt64
        var isWhole = true
        var trouble: SystemCallError?
    }

    private let state: Mutex<State>
    /// Valid for the lifetime of the archive.
    let descriptor: Int32

    /// An empty archive with this limit in bytes.
    init(limit: UInt64) throws(SystemCallError) {
        let file = try OwnedDescriptor.temporaryFile()
        descriptor = file.number
        state = Mutex(State(file: file, room: limit))
    }

    /// Appends received bytes; beyond the limit, or after a write error, they are dropped.
    func append(_ bytes: ArraySlice<UInt8>) {
        state.withLock { state in
            guard state.isWhole, bytes.count <= state.room else {
                state.isWhole = false
                return
            }
            state.room -= UInt64(bytes.count)
            do throws(SystemCallError) {
                try writeAll(state.file.number, bytes)
            } catch {
                (state.isWhole, state.trouble) = (false, error)
            }
        }
    }

    func bytes() throws(SystemCallError) -> [UInt8] { try SmallFile.bytes("/proc/self/fd/\(descriptor)", limit: .max) }

    /// Rewinds it. False when the limit was exceeded; throws the write error, if any.
    func finish() throws(SystemCallError) -> Bool {
        let (isWhole, trouble) = state.withLock { ($0.isWhole, $0.trouble) }
        if let trouble { throw trouble }
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { throw SystemCallError("lseek") }
        return isWhole
    }
}
