/// Memory pressure (Linux's pressure stall information): shares of the last ten seconds, in percent.
public struct MemoryPressure: Sendable, Hashable {
    /// Share of time in which at least one task waited for memory.
    public var some: Double
    /// Share of time in which all non-idle tasks did.
    public var full: Double

    /// Pressure as given.
    public init(some: Double, full: Double) {
        self.some = some
        self.full = full
    }

    /// Parses `/proc/pressure/memory` or a control group's `memory.pressure`; nil when malformed.
    init?(_ text: String) {
        var shares: [Substring: Double] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let kind = words.first, let average = words.first(where: { $0.hasPrefix("avg10=") }) else { continue }
            shares[kind] = Double(average.dropFirst("avg10=".count))
        }
        guard let some = shares["some"] else { return nil }
        self.init(some: some, full: shares["full"] ?? 0)
    }

    /// The maximum of both.
    func worse(_ other: MemoryPressure) -> MemoryPressure {
        MemoryPressure(some: max(some, other.some), full: max(full, other.full))
    }
}
