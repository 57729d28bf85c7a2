import Glibc
import HostSystem
import VirtualHardware

/// The files of a snapshot: the machine's state at the path that names the snapshot, and beside it its memory and what the
/// guest has written to each of its overlays.
package struct SnapshotFiles: Sendable, Hashable {
    let path: String

    package init(path: String) { self.path = path }

    var memoryPath: String { path + ".memory" }
    func layerPath(_ disk: Int) -> String { "\(path).disk\(disk)" }

    enum Memory {
        case copied(GuestMemory)
        case kept(GoldenMemory)
    }

    /// Writes all of them, the state last: without it there is no snapshot. `state` gets the identity and the layers. A failure
    /// leaves nothing new behind. Throws what `state` throws and the kernel's error; `EEXIST` for an existing snapshot, which
    /// clones may be using.
    func write(
        _ memory: Memory, _ overlays: [Int: OverlayStorage],
        _ state: (_ identity: [UInt8], [MachineSnapshot.Layer]) throws -> MachineSnapshot
    ) throws {
        guard access(path, F_OK) != 0 else { throw SystemCallError("open", errno: EEXIST, path) }
        var made: [String] = []
        do {
            let identity = try MachineSnapshot.newIdentity()
            var layers: [MachineSnapshot.Layer] = []
            for (disk, overlay) in overlays.sorted(by: { $0.key < $1.key }) {
                let layerPath = layerPath(disk)
                let file = try OwnedDescriptor.open(layerPath, O_RDWR | O_CREAT | O_EXCL)
                made.append(layerPath)
                let blocks = try overlay.keepChanges(in: file, layerPath)
                try SnapshotLabel.write(.layer, after: overlay.size, identity: identity, to: file, layerPath)
                layers.append(MachineSnapshot.Layer(disk: UInt64(disk), size: overlay.size, blocks: blocks))
            }
            let snapshot = try state(identity, layers)
            switch memory {
            case .kept(let memory): try memory.finish(identity: identity)
            case .copied(let memory):
                let file = try OwnedDescriptor.open(memoryPath, O_RDWR | O_CREAT | O_EXCL)
                made.append(memoryPath)
                try MemoryImage.write(memory, identity: identity, to: file, memoryPath)
            }
            let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL)
            made.append(path)
            try writeAll(file.number, snapshot.bytes[...], at: 0, path)
        } catch {
            for path in made { unlink(path) }
            throw error
        }
    }

    /// Reads the state and opens the memory. Throws why this program cannot restore them.
    package func read() throws(SnapshotError) -> SavedFiles {
        do throws(SnapshotError) {
            let bytes: [UInt8]
            do throws(SystemCallError) {
                bytes = try SmallFile.bytes(path, limit: MachineSnapshot.sizeLimit)
            } catch {
                throw SnapshotError("\(error)")
            }
            let snapshot = try MachineSnapshot(bytes: bytes)
            let memory = try SnapshotLabel.open(
                .memory, memoryPath, size: snapshot.memory, identity: snapshot.identity, "its memory")
            return SavedFiles(files: self, snapshot: snapshot, memory: memory)
        } catch {
            throw refusal(error)
        }
    }

    package func refusal(_ reason: any Error) -> SnapshotError {
        SnapshotError("the snapshot \(path) cannot be restored: \(reason)")
    }
}

package struct SavedFiles: Sendable {
    package let files: SnapshotFiles
    let snapshot: MachineSnapshot
    let memory: HostFile

    /// The memory of a restored machine, which leaves the file unchanged.
    package var backing: GuestMemory.Backing { .copy(of: memory.number) }

    /// What lies over the base of this disk; nil when the guest had not written to it. Throws why the file is unusable.
    package func layer(ofDisk disk: Int) throws(SnapshotError) -> OverlayStorage.Layer? {
        guard let layer = snapshot.layers.first(where: { $0.disk == UInt64(disk) }) else { return nil }
        let path = files.layerPath(disk)
        do throws(SnapshotError) {
            _ = try SnapshotLabel.open(
                .layer, path, size: layer.size, identity: snapshot.identity, "what was written to disk \(disk)")
        } catch {
            throw files.refusal(error)
        }
        return OverlayStorage.Layer(path: path, blocks: layer.blocks)
    }
}

/// Why a machine cannot be saved or restored.
package struct SnapshotError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
