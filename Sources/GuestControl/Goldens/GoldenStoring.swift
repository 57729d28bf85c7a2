/// Keeps golden snapshots on this host from run to run: each is made once, by whoever needs it first.
public protocol GoldenStoring: Sendable {
    /// What it hands out.
    associatedtype Kept: KeptGolden

    /// The golden of a key. Where there is none, or it is damaged, `make` saves a machine into the empty folder that it is
    /// given; one process does so at a time, and the others wait for it. `progress` is told of waiting and of repairs.
    ///
    /// Throws what `make` throws, a `Diagnostic` when nothing can be kept, `CancellationError`.
    func golden(
        _ key: GoldenKey, progress: @escaping @Sendable (String) -> Void,
        make: @escaping @Sendable (_ folder: String) async throws -> SavedMachine
    ) async throws -> Kept
}

/// A golden in a store. Its files stay for as long as somebody holds this, and nobody writes to them.
public protocol KeptGolden: Sendable {
    /// What was saved, with the files where they are now.
    var machine: SavedMachine { get }

    /// Has it made anew for the next who asks: it did not work.
    func discard() async
}

/// What a golden's content depends on: any change makes another golden.
public struct GoldenKey: Sendable, Hashable, Codable {
    /// One thing that it depends on.
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
    /// All else, in the order given: memory, processors, disks, what runs it.
    public let facts: [Fact]

    /// A key of facts by their names.
    public init(image: String, imageID: String, facts: [(name: String, value: String)]) {
        self.image = image
        self.imageID = imageID
        self.facts = facts.map { Fact(name: $0.name, value: $0.value) }
    }
}
