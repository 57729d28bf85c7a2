import Diagnostics
import GuestControl
import HostSystem
import Synchronization

/// Keeps goldens in a folder, and counts them.
final class GoldenShelf: GoldenStoring {
    private let path: String
    private let state = Mutex((made: 0, discarded: 0, machines: [String: SavedMachine]()))

    /// What it remembers of those that cannot be: each `make` that fails is recorded, as the real store does when the guest is the
    /// cause.
    private let failures = Mutex<[GoldenKey: String]>([:])
    private let isForgetful: Bool

    init(in path: String, isForgetful: Bool = true) {
        self.path = path
        self.isForgetful = isForgetful
    }

    func remember(_ key: GoldenKey, cannotBeCloned reason: String) -> Bool {
        isForgetful ? false : failures.withLock { $0.updateValue(reason, forKey: key) == nil }
    }

    /// How often one was made to the end.
    var made: Int { state.withLock { $0.made } }

    /// How many were thrown away.
    var discarded: Int { state.withLock { $0.discarded } }

    /// The folders of goldens, whole or not.
    var folders: [String] { (try? FileTree.names(in: path))?.map { "\(path)/\($0)" } ?? [] }

    func golden(
        _ key: GoldenKey, progress: @escaping @Sendable (String) -> Void,
        make: @escaping @Sendable (_ folder: String) async throws -> SavedMachine
    ) async throws -> Kept {
        let facts = key.facts.map { "\($0.name) \($0.value)" }.joined(separator: ",")
        let folder = "\(path)/\(key.image) \(facts.replacing("/", with: "-"))"
        if let machine = state.withLock({ $0.machines[folder] }) {
            return Kept(machine: machine, path: folder, shelf: self)
        }
        if let reason = failures.withLock({ $0[key] }) {
            throw KnownGoldenFailure(Diagnostic(.guest, "the attempt failed: \(reason)"))
        }
        let machine: SavedMachine
        do {
            try FileTree.makeFolder(folder)
            machine = try await make(folder)
        } catch {
            try FileTree.remove(folder)
            _ = remember(key, cannotBeCloned: sentence(of: error))
            throw error
        }
        state.withLock { state in
            state.made += 1
            state.machines[folder] = machine
        }
        return Kept(machine: machine, path: folder, shelf: self)
    }

    struct Kept: KeptGolden {
        let machine: SavedMachine
        fileprivate let path: String
        fileprivate let shelf: GoldenShelf

        func discard() async {
            try? FileTree.remove(path)
            shelf.state.withLock { state in
                state.discarded += 1
                state.machines[path] = nil
            }
        }
    }
}
