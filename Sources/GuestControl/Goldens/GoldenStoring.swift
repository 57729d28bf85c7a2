/// Keeps golden snapshots on this host from run to run: each is made once, by whoever needs it first.
public protocol GoldenStoring: Sendable {
    /// The golden of a shape. Where there is none, or it is damaged, `make` puts its files into the empty folder that it is
    /// given; one process does so at a time, and the others wait for it. `progress` is told of waiting and of repairs.
    ///
    /// Throws what `make` throws, a `Diagnostic` when nothing can be kept, `CancellationError`.
    func golden(
        _ shape: GoldenShape, progress: @escaping @Sendable (String) -> Void,
        make: @escaping @Sendable (_ folder: String) async throws -> Void
    ) async throws -> any GoldenFolder
}

/// A golden's files, which stay for as long as somebody holds this.
public protocol GoldenFolder: Sendable {
    /// The folder, absolute. Nobody writes to it.
    var path: String { get }

    /// Has it made anew for the next who asks: its files did not work.
    func discard() async
}

/// What a golden's content depends on: any change makes another golden.
public struct GoldenShape: Sendable {
    /// The image's name.
    public var image: String
    /// The hash of what the image is made of.
    public var imageID: String
    /// Everything else, by name: memory, processors, disks, what runs it.
    public var facts: [(name: String, value: String)]

    /// A shape as given.
    public init(image: String, imageID: String, facts: [(name: String, value: String)]) {
        self.image = image
        self.imageID = imageID
        self.facts = facts
    }
}
