import Glibc
import HostSystem
import Synchronization

/// An archive that comes over a guest's console, kept as far as it may go.
final class BoundedArchive: Sendable {
    private struct State: ~Copyable {
        var file: OwnedDescriptor
        var room: UInt64
        var isWhole = true
        var trouble: SystemCallError?
    }

    private let state: Mutex<State>
    /// Valid while the archive lives.
    let descriptor: Int32

    /// An empty one that may have so many bytes.
    init(limit: UInt64) throws(SystemCallError) {
        let file = try OwnedDescriptor.temporaryFile()
        descriptor = file.number
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
                try writeAll(state.file.number, bytes)
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
