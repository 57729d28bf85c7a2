/// Something that receives a run's events: a terminal, a file, a test.
public protocol RunSink: Sendable {
    /// One event; called in order, never by two threads at once. Must not block for long; errors are kept for `problems`.
    func receive(_ recorded: RecordedEvent)

    /// The last line that a command on the guest has printed so far; not recorded. Called at any time on any thread; must not
    /// block.
    func show(_ line: String, of guest: String)

    /// After the last event: everything is written out.
    func finish()

    /// What this sink could not do, in words; empty when all went well.
    var problems: [String] { get }
}

extension RunSink {
    /// Nothing to do.
    public func show(_ line: String, of guest: String) {}

    /// Nothing to do.
    public func finish() {}

    /// All went well.
    public var problems: [String] { [] }
}
