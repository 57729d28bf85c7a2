/// An amount of memory or storage in bytes.
public struct ByteCount: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The amount.
    public var bytes: UInt64

    /// So many bytes.
    public init(_ bytes: UInt64) {
        self.bytes = bytes
    }

    /// So many MiB (2²⁰ bytes), clamped to what fits.
    public static func mebibytes(_ count: UInt64) -> ByteCount {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: 1 << 20)
        return ByteCount(overflow ? .max : bytes)
    }

    /// So many GiB (2³⁰ bytes), clamped to what fits.
    public static func gibibytes(_ count: UInt64) -> ByteCount {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: 1 << 30)
        return ByteCount(overflow ? .max : bytes)
    }

    /// By amount.
    public static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }

    /// The sum, clamped to what fits.
    public static func + (left: ByteCount, right: ByteCount) -> ByteCount {
        let (sum, overflow) = left.bytes.addingReportingOverflow(right.bytes)
        return ByteCount(overflow ? .max : sum)
    }

    /// In the largest unit that is not larger, with at most one decimal, rounded down: `5GiB`, `1.5GiB`, `512MiB`, `300B`.
    public var description: String {
        for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            let size = UInt64(1) << UInt64(shift)
            guard bytes >= size else { continue }
            let whole = bytes / size
            let tenths = (bytes % size) * 10 / size
            return tenths == 0 ? "\(whole)\(unit)" : "\(whole).\(tenths)\(unit)"
        }
        return "\(bytes)B"
    }
}
