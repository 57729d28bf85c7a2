import Diagnostics

/// Stores golden snapshots on this host across runs: each is made once, when it is first needed.
public protocol GoldenStoring: Sendable {
    /// The handle of a stored golden.
    associatedtype Kept: KeptGolden

    /// The golden of a key. If there is none, or it is damaged, `make` saves a machine into the given empty folder; one process
    /// does so at a time, and others wait. `progress` reports waits and repairs. Throws errors of `make`, a `Diagnostic` when the
    /// store cannot be written, and `CancellationError`.
    func golden(
        _ key: GoldenKey, progress: @escaping @Sendable (String) -> Void,
        make: @escaping @Sendable (_ folder: String) async throws -> SavedMachine
    ) async throws -> Kept

    /// Remembers that guests of this key cannot be cloned, for this reason. False when that was known, or cannot be remembered.
    func remember(_ key: GoldenKey, cannotBeCloned reason: String) -> Bool
}

extension GoldenStoring {
    /// A store that remembers nothing.
    public func remember(_ key: GoldenKey, cannotBeCloned reason: String) -> Bool { false }
}

/// A golden that an earlier run could not make, and said so.
public struct KnownGoldenFailure: Error, Sendable {
    /// For who demands a clone.
    public let diagnostic: Diagnostic

    /// A failure as recorded.
    public init(_ diagnostic: Diagnostic) { self.diagnostic = diagnostic }
}

/// A stored golden. Its read-only files stay as long as this is referenced.
public protocol KeptGolden: Sendable {
    /// The saved machine, with the current paths of its files.
    var machine: SavedMachine { get }

    /// Discards a golden that did not work, so that the next request makes it again.
    func discard() async
}

/// Everything that a golden depends on: any change makes another golden.
public struct GoldenKey: Sendable, Hashable, Codable {
    /// One dependency.
    public struct Fact: Sendable, Hashable, Codable {
        /// What it is, such as `memory`.
        public let name: String
        /// Its value, such as `128MiB`.
        public let value: String
    }

    /// The image's name in the lab.
    public let image: String
    /// The image's id: that of its contents.
    public let imageID: String
    /// All other facts, in the order given: memory, CPUs, disks, backend.
    public let facts: [Fact]

    /// A key of facts by their names.
    public init(image: String, imageID: String, facts: [(name: String, value: String)]) {
        self.image = image
        self.imageID = imageID
        self.facts = facts.map { Fact(name: $0.name, value: $0.value) }
    }
}
