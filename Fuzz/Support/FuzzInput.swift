/// The fuzzer's bytes, taken as the values a target needs. After the end everything is zero.
public struct FuzzInput {
    private let bytes: [UInt8]
    private var place = 0

    /// The bytes of one run.
    public init(_ start: UnsafePointer<UInt8>?, _ count: Int) {
        bytes = Array(UnsafeBufferPointer(start: start, count: count))
    }

    /// Whether all has been taken.
    public var isEmpty: Bool { place >= bytes.count }

    /// The next value, little-endian.
    public mutating func next<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) -> Value {
        var value: Value = 0
        for shift in stride(from: 0, to: Value.bitWidth, by: 8) {
            value |= Value(truncatingIfNeeded: UInt64(nextByte())) << shift
        }
        return value
    }

    /// The next so many bytes.
    public mutating func next(_ count: Int) -> [UInt8] {
        let end = min(bytes.count, place + count)
        defer { place = end }
        return place < end ? Array(bytes[place..<end]) : []
    }

    private mutating func nextByte() -> UInt8 {
        guard !isEmpty else { return 0 }
        defer { place += 1 }
        return bytes[place]
    }
}

/// Gives up with an artifact, as a trap would.
public func require(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { fatalError(message()) }
}
