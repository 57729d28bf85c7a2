import Glibc

/// The records of a PAX header about the next member: lines with their own length, a key and a value.
struct PAXRecords {
    private(set) var values: [(key: [UInt8], value: [UInt8])] = []

    /// Parses the records. Throws when they are malformed.
    init(_ bytes: [UInt8]) throws(ArchiveError) {
        var rest = bytes[...]
        while let first = rest.first, first != 0 {
            guard let space = rest.firstIndex(of: UInt8(ascii: " ")), let count = Self.decimal(rest[..<space]),
                count > space - rest.startIndex + 1, count <= rest.count
            else { throw ArchiveError("its PAX header is damaged") }
            let record = rest[(space + 1)..<(rest.startIndex + count)]
            guard record.last == UInt8(ascii: "\n"), let equals = record.firstIndex(of: UInt8(ascii: "=")) else {
                throw ArchiveError("its PAX header is damaged")
            }
            values.append((Array(record[..<equals]), Array(record[(equals + 1)...].dropLast())))
            rest = rest.dropFirst(count)
        }
    }

    /// The last value of a key.
    subscript(_ key: String) -> [UInt8]? { values.last { $0.key == Array(key.utf8) }?.value }

    /// The value of a key as a number. Throws when it is not a number from 0 on.
    func number(_ key: String) throws(ArchiveError) -> Int? {
        guard let value = self[key] else { return nil }
        guard let number = Self.decimal(value[...]) else { throw ArchiveError("its PAX header is damaged") }
        return number
    }

    var modified: timespec? {
        guard let parts = self["mtime"]?.split(separator: UInt8(ascii: "."), maxSplits: 1),
            let seconds = parts.first.flatMap({ Self.decimal($0) })
        else { return nil }
        let fraction = parts.dropFirst().first.map { $0.prefix(9) } ?? []
        let padded = Array(fraction) + [UInt8](repeating: UInt8(ascii: "0"), count: 9 - fraction.count)
        return timespec(tv_sec: seconds, tv_nsec: Self.decimal(padded[...]) ?? 0)
    }

    static let attributePrefix = Array("SCHILY.xattr.user.".utf8)

    /// The extended attributes in the `user.` namespace, without that prefix.
    var attributes: [(name: [UInt8], value: [UInt8])] {
        values.filter { $0.key.starts(with: Self.attributePrefix) }.map {
            (Array($0.key.dropFirst(Self.attributePrefix.count)), $0.value)
        }
    }

    /// A decimal number; nil when it does not fit an Int.
    static func decimal(_ digits: ArraySlice<UInt8>) -> Int? {
        guard let first = digits.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return nil }
        return Int(String(decoding: digits, as: UTF8.self))
    }
}

extension PAXRecords {
    init() {}

    mutating func append(_ key: [UInt8], _ value: [UInt8]) { values.append((key, value)) }

    var bytes: [UInt8] {
        values.flatMap { key, value in
            let line = [UInt8(ascii: " ")] + key + [UInt8(ascii: "=")] + value + [UInt8(ascii: "\n")]
            // The length includes its own digits.
            var count = line.count
            while count != line.count + String(count).utf8.count { count = line.count + String(count).utf8.count }
            return Array(String(count).utf8) + line
        }
    }
}
