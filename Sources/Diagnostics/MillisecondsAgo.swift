extension ContinuousClock.Instant {
    /// How long ago it was, in milliseconds, to a tenth: what a log record says of how long something took.
    public var millisecondsAgo: Double { (duration(to: .now) / .milliseconds(1) * 10).rounded() / 10 }
}
