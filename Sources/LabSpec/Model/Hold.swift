/// Something of the host that lives as long as the values that need it, such as a lock. It makes no difference between them.
public struct Hold: Sendable, Hashable {
    private let object: (any AnyObject & Sendable)?

    /// Holds this; nil holds nothing.
    public init(_ object: (any AnyObject & Sendable)? = nil) { self.object = object }

    /// All are equal.
    public static func == (left: Hold, right: Hold) -> Bool { true }
    /// Adds nothing.
    public func hash(into hasher: inout Hasher) {}
}
