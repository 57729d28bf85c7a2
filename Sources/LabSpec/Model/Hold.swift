/// Keeps what a value needs on the host, as long as the value is there. It makes no difference between values.
public struct Hold: Sendable, Hashable {
    private let objects: [any AnyObject & Sendable]

    /// Holds these.
    public init(_ objects: [any AnyObject & Sendable] = []) { self.objects = objects }

    /// All are equal.
    public static func == (left: Hold, right: Hold) -> Bool { true }
    /// Adds nothing.
    public func hash(into hasher: inout Hasher) {}

    /// Both.
    public static func + (left: Hold, right: Hold) -> Hold { Hold(left.objects + right.objects) }
}
