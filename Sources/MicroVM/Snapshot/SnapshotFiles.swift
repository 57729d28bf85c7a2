import Glibc
import HostSystem
import VirtualHardware

/// The two files of a snapshot: the machine's state at the path that names the snapshot, and its memory beside it.
struct SnapshotFiles: Sendable {
    let path: String
    var memoryPath: String { path + ".memory" }

    /// Writes both, the memory first: without a whole state there is no snapshot. Leaves nothing behind when it fails.
    ///
    /// Throws what the kernel says; `EEXIST` when there is one already, which clones may be using.
    func write(_ snapshot: MachineSnapshot, _ memory: GuestMemory) throws(SystemCallError) {
        guard access(path, F_OK) != 0 else { throw SystemCallError("open", errno: EEXIST, path) }
        do throws(SystemCallError) {
            try MemoryImage.write(memory, identity: snapshot.identity, to: memoryPath)
            try Self.write(snapshot.bytes, to: path)
        } catch {
            if error.errno != EEXIST {
                unlink(path)
                unlink(memoryPath)
            }
            throw error
        }
    }

    private static func write(_ bytes: [UInt8], to path: String) throws(SystemCallError) {
        let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL)
        let number = file.number
        var done = 0
        while done < bytes.count {
            done += try systemCall("write", path) {
                bytes[done...].withUnsafeBytes { Glibc.write(number, $0.baseAddress, $0.count) }
            }
        }
    }

    /// Reads the state and opens the memory. Throws why they are no snapshot that this program can go on from.
    func read() throws(SnapshotError) -> (snapshot: MachineSnapshot, memory: HostFile) {
        do throws(SnapshotError) {
            let bytes: [UInt8]
            do throws(SystemCallError) {
                let file = try HostFile(path)
                bytes = try file.bytes(at: 0, count: MachineSnapshot.sizeLimit)
            } catch {
                throw SnapshotError("\(error)")
            }
            let snapshot = try MachineSnapshot(bytes: bytes)
            return (snapshot, try MemoryImage.open(memoryPath, for: snapshot))
        } catch {
            throw SnapshotError("the snapshot \(path) cannot be restored: \(error)")
        }
    }
}
