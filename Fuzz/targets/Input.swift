/// What the fuzzer made up, taken piece by piece; zeros once it is used up.
struct Input {
    private let bytes: UnsafeRawBufferPointer
    private var place = 0

    init(_ start: UnsafePointer<UInt8>?, _ count: Int) { bytes = UnsafeRawBufferPointer(start: start, count: count) }

    var isEmpty: Bool { place >= bytes.count }

    mutating func byte() -> UInt8 {
        guard place < bytes.count else { return 0 }
        defer { place += 1 }
        return bytes[place]
    }

    mutating func number<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) -> Value {
        (0..<(Value.bitWidth / 8)).reduce(0) { $0 | Value(truncatingIfNeeded: byte()) << ($1 * 8) }
    }

    mutating func take(_ count: Int) -> [UInt8] { (0..<count).map { _ in byte() } }

    /// All that is left.
    mutating func rest() -> UnsafeRawBufferPointer {
        defer { place = bytes.count }
        return UnsafeRawBufferPointer(rebasing: bytes[min(place, bytes.count)...])
    }
}

/// Gives up with an artifact, as a trap would.
func require(_ condition: Bool, _ message: String) {
    guard !condition else { return }
    fatalError(message)
}
