import Diagnostics

/// A raw tar header: 512 bytes with fields at fixed offsets.
struct TarBlock {
    static let size = 512

    var bytes: [UInt8]

    struct Field {
        var start: Int
        var count: Int
        init(_ start: Int, _ count: Int) { (self.start, self.count) = (start, count) }

        static let name = Field(0, 100)
        static let mode = Field(100, 8)
        static let size = Field(124, 12)
        static let modified = Field(136, 12)
        static let checksum = Field(148, 8)
        static let kind = Field(156, 1)
        static let linkName = Field(157, 100)
        static let magic = Field(257, 8)
        static let prefix = Field(345, 155)
        /// The offset of a GNU continuation's content in its file.
        static let offset = Field(369, 12)
    }

    subscript(_ field: Field) -> ArraySlice<UInt8> { bytes[field.start..<field.start + field.count] }

    /// The type flag: `0` for a file, `5` for a folder.
    var kind: UInt8 { bytes[Field.kind.start] }

    /// Two empty blocks end an archive.
    var isEmpty: Bool { bytes.allSatisfy { $0 == 0 } }

    /// Whether the checksum is right, which is unlikely for anything but a header.
    var isIntact: Bool { (try? number(.checksum)) == sum }

    /// The sum of all bytes, with the checksum field taken as spaces.
    private var sum: Int {
        let own = self[.checksum].reduce(0) { $0 + Int($1) }
        return bytes.reduce(0) { $0 + Int($1) } - own + Field.checksum.count * 32
    }

    func text(_ field: Field) -> [UInt8] { Array(self[field].prefix { $0 != 0 }) }

    /// The member's path with its prefix; only POSIX headers have one.
    var path: [UInt8] {
        let isPOSIX = self[.magic].starts(with: Array("ustar\0".utf8))
        let prefix = isPOSIX ? text(.prefix) : []
        return prefix.isEmpty ? text(.name) : prefix + [UInt8(ascii: "/")] + text(.name)
    }

    /// A number, octal or, after a byte of at least 0x80, binary. Throws when it is malformed or negative.
    func number(_ field: Field) throws(ArchiveError) -> Int {
        let bytes = self[field]
        var value = 0
        func append(_ digit: UInt8, shift: Int) throws(ArchiveError) {
            guard value <= Int.max >> shift else { throw ArchiveError("it has a number that is out of range") }
            value = value << shift | Int(digit)
        }
        if let first = bytes.first, first & 0x80 != 0 {
            guard first & 0x40 == 0 else { throw ArchiveError("it has a number below zero") }
            try append(first & 0x3F, shift: 6)
            for byte in bytes.dropFirst() { try append(byte, shift: 8) }
            return value
        }
        let blanks: Set<UInt8> = [0, UInt8(ascii: " ")]
        for byte in bytes.drop(while: { blanks.contains($0) }).prefix(while: { !blanks.contains($0) }) {
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(byte) else {
                throw ArchiveError("it has an invalid number")
            }
            try append(byte - UInt8(ascii: "0"), shift: 3)
        }
        return value
    }
}

extension TarBlock {
    /// An empty POSIX header.
    init() {
        bytes = [UInt8](repeating: 0, count: Self.size)
        set(.magic, Array("ustar\u{0}00".utf8))
    }

    /// Writes a field's bytes, cut at its length.
    mutating func set(_ field: Field, _ value: some Collection<UInt8>) {
        for (index, byte) in value.prefix(field.count).enumerated() { bytes[field.start + index] = byte }
    }

    /// Sets a number: octal where it fits, else binary as GNU does.
    mutating func set(_ field: Field, _ number: Int) {
        let digits = Array(String(number, radix: 8).utf8)
        guard digits.count < field.count else {
            var rest = number
            for index in (field.start..<field.start + field.count).reversed() {
                bytes[index] = UInt8(truncatingIfNeeded: rest)
                rest >>= 8
            }
            bytes[field.start] |= 0x80
            return
        }
        set(field, [UInt8](repeating: UInt8(ascii: "0"), count: field.count - 1 - digits.count) + digits)
    }

    mutating func seal() { set(.checksum, sum) }
}

/// An error in an archive, or in a request for one.
struct ArchiveError: Error, Hashable {
    /// Such as `it has a number below zero`.
    var reason: String
    /// The member concerned, if known.
    var path: [UInt8]?

    var remedy: String?

    init(_ reason: String, path: [UInt8]? = nil, remedy: String? = nil) {
        (self.reason, self.path, self.remedy) = (reason, path, remedy)
    }

    /// The same error, with a member's path.
    func about(_ path: [UInt8]) -> ArchiveError {
        self.path == nil ? ArchiveError(reason, path: path, remedy: remedy) : self
    }

    /// The error for users; `what` says what failed.
    func diagnostic(_ what: String) -> Diagnostic {
        let name = path.map { String(decoding: $0, as: UTF8.self).quoted() + ": " } ?? ""
        return Diagnostic(.guest, what, remedy: remedy, cause: name + reason)
    }
}
