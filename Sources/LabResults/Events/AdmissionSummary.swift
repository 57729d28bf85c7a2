/// How a run's guests shared the host's memory.
public struct AdmissionSummary: Sendable, Hashable {
    /// `strict` or `overcommit`.
    public var mode: String
    /// The most guests that had their memory at a time.
    public var peakGuests = 0
    /// The most they were reckoned at together, in bytes.
    public var peakMemory: UInt64 = 0
    /// How often a guest had to wait for room.
    public var heldBack = 0
    /// How often a guest that still had something to do was sent away for others' sake, to come back later.
    public var parked = 0
    /// Why guests waited, each reason once.
    public var reasons: [String] = []

    /// Nobody came yet.
    public init(mode: String) {
        self.mode = mode
    }

    /// Another guest had to wait for this reason.
    public mutating func hold(_ reason: String) {
        heldBack += 1
        if !reasons.contains(reason) { reasons.append(reason) }
    }
}
