/// Writes ACPI machine language (ACPI 6.4, chapter 20): each function gives the bytes of one term.
///
/// Names are of our own making: segments of four letters, digits or `_`, joined by dots, `\` in front for the root.
enum AML {
    typealias Term = [UInt8]

    // MARK: Data (20.2.3)

    static func integer(_ value: UInt64) -> Term {
        switch value {
        case 0: [0x00]
        case 1: [0x01]
        case 0...0xff: [0x0a] + littleEndian(UInt8(truncatingIfNeeded: value))
        case 0...0xffff: [0x0b] + littleEndian(UInt16(truncatingIfNeeded: value))
        case 0...0xffff_ffff: [0x0c] + littleEndian(UInt32(truncatingIfNeeded: value))
        default: [0x0e] + littleEndian(value)
        }
    }

    static func string(_ text: String) -> Term { [0x0d] + text.utf8 + [0] }

    static func buffer(_ bytes: [UInt8]) -> Term { [0x11] + package(integer(UInt64(bytes.count)) + bytes) }

    static func package(of elements: [Term]) -> Term {
        [0x12] + package([UInt8(truncatingIfNeeded: elements.count)] + elements.joined())
    }

    /// A plug-and-play id such as `PNP0501`, compressed into 32 bits (19.3.4): three letters of five bits, four digits.
    static func eisaID(_ id: String) -> Term {
        let letters = id.utf8.prefix(3).reduce(UInt32(0)) { $0 << 5 | UInt32($1 & 0x1f) }
        let product = UInt32(id.dropFirst(3), radix: 16) ?? 0
        return [0x0c] + littleEndian((letters << 16 | product & 0xffff).byteSwapped)
    }

    // MARK: Named objects (20.2.5)

    static func name(_ name: String, _ value: Term) -> Term { [0x08] + path(name) + value }

    static func scope(_ name: String, _ body: [Term]) -> Term { [0x10] + package(path(name) + body.joined()) }

    static func device(_ name: String, _ body: [Term]) -> Term { [0x5b, 0x82] + package(path(name) + body.joined()) }

    static func serializedMethod(_ name: String, arguments: UInt8, _ body: [Term]) -> Term {
        [0x14] + package(path(name) + [arguments & 0x7 | 0x08] + body.joined())
    }

    /// I/O ports that a method may read and write.
    static func portRegion(_ name: String, at port: UInt64, count: UInt64) -> Term {
        [0x5b, 0x80] + path(name) + [0x01] + integer(port) + integer(count)
    }

    /// Fields of a region that is accessed byte by byte, each with its size in bits (at most 63 here).
    static func byteFields(of region: String, _ fields: [(name: String, bits: UInt8)]) -> Term {
        let list = fields.flatMap { path($0.name) + [$0.bits & 0x3f] }
        return [0x5b, 0x81] + package(path(region) + [0x01] + list)
    }

    // MARK: Statements and expressions (20.2.5.3, 20.2.5.4)

    static let local0: Term = [0x60]

    static func store(_ value: Term, _ target: Term) -> Term { [0x70] + value + target }

    /// Bitwise and, whose result is only used, not stored.
    static func and(_ left: Term, _ right: Term) -> Term { [0x7b] + left + right + [0x00] }

    static func when(_ condition: Term, _ body: [Term]) -> Term { [0xa0] + package(condition + body.joined()) }

    static func notify(_ object: String, _ value: UInt64) -> Term { [0x86] + path(object) + integer(value) }

    // MARK: Encoding

    /// A name string (20.2.2).
    static func path(_ name: String) -> Term {
        let isAbsolute = name.hasPrefix("\\")
        let segments = name.dropFirst(isAbsolute ? 1 : 0).split(separator: ".").map { segment in
            Array(segment.utf8.prefix(4)) + [UInt8](repeating: UInt8(ascii: "_"), count: max(4 - segment.utf8.count, 0))
        }
        let prefix: Term =
            switch segments.count {
            case 0: [0x00]
            case 1: []
            case 2: [0x2e]
            default: [0x2f, UInt8(truncatingIfNeeded: segments.count)]
            }
        return (isAbsolute ? [UInt8(ascii: "\\")] : []) + prefix + segments.joined()
    }

    /// Contents behind their length, which counts its own one to four bytes too (20.2.4).
    static func package(_ contents: Term) -> Term {
        for extra in 0...3 {
            let length = contents.count + 1 + extra
            if extra == 0 {
                if length < 1 << 6 { return [UInt8(length)] + contents }
            } else if length < 1 << (4 + 8 * extra) {
                let tail = (0..<extra).map { UInt8(truncatingIfNeeded: length >> (4 + 8 * $0)) }
                return [UInt8(extra << 6 | length & 0xf)] + tail + contents
            }
        }
        // 256 MiB and more: the fixed list of devices is some kilobytes.
        return []
    }

    static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}
