/// Encodes state as bytes: numbers little-endian, without names; the version of the whole defines their meaning.
package struct StateEncoder: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func add(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }

    /// Adds a byte, 0 or 1.
    package mutating func add(_ value: Bool) { bytes.append(value ? 1 : 0) }

    /// Adds how many bytes there are (64 bits), and these.
    package mutating func add(_ value: [UInt8]) {
        add(UInt64(value.count))
        bytes += value
    }

    /// Adds a text in UTF-8 as `add([UInt8])` does.
    package mutating func add(_ value: String) { add(Array(value.utf8)) }
}

/// Decodes what `StateEncoder` wrote. The bytes may be anything: malformed ones throw, none traps.
package struct StateDecoder: Sendable {
    private var rest: ArraySlice<UInt8>

    package init(_ bytes: [UInt8]) { rest = bytes[...] }

    /// The next number of this width. Throws when the bytes end before.
    package mutating func number<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type = Value.self
    ) throws(StateError) -> Value {
        let size = MemoryLayout<Value>.size
        guard rest.count >= size else { throw .truncated }
        defer { rest = rest.dropFirst(size) }
        return Value(littleEndian: rest.withUnsafeBytes { $0.loadUnaligned(as: Value.self) })
    }

    /// The next byte, which is 0 or 1.
    package mutating func truth() throws(StateError) -> Bool {
        let byte: UInt8 = try number()
        guard byte < 2 else { throw StateError("a truth value of \(byte)") }
        return byte == 1
    }

    /// As many bytes as the 64-bit count before them.
    package mutating func bytes() throws(StateError) -> [UInt8] {
        let count: UInt64 = try number()
        guard count <= UInt64(rest.count) else { throw .truncated }
        defer { rest = rest.dropFirst(Int(count)) }
        return Array(rest.prefix(Int(count)))
    }

    package mutating func text() throws(StateError) -> String { String(decoding: try bytes(), as: UTF8.self) }

    /// The count of the following elements, each of at least `size` bytes, so that a wrong count allocates no memory.
    package mutating func count(ofAtLeast size: Int) throws(StateError) -> Int {
        let count: UInt64 = try number()
        guard count <= UInt64(rest.count / max(size, 1)) else { throw .truncated }
        return Int(count)
    }

    package func finish() throws(StateError) {
        guard rest.isEmpty else { throw StateError("\(rest.count) bytes too many") }
    }
}

/// Why a state cannot be saved or restored.
package struct StateError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }

    package static let truncated = StateError("it ends too early")
}
