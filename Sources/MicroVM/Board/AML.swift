/// ACPI machine language, as much of it as our tables say (ACPI 6.4, chapter 20).
struct AML {
    private(set) var bytes: [UInt8] = []

    init(_ body: (inout AML) -> Void) { body(&self) }

    private init() {}

    /// `Scope (name) { … }`
    mutating func scope(_ name: String, _ body: (inout AML) -> Void) { package([0x10], name: name, body) }

    /// `Device (name) { … }`
    mutating func device(_ name: String, _ body: (inout AML) -> Void) { package([0x5b, 0x82], name: name, body) }

    /// `Method (name, arguments, Serialized) { … }`
    mutating func method(_ name: String, arguments: UInt8, _ body: (inout AML) -> Void) {
        package([0x14], name: name) { aml in
            aml.bytes.append(arguments | 8)
            body(&aml)
        }
    }

    /// `Name (name, number)`
    mutating func define(_ name: String, _ number: UInt64) {
        bytes += [0x08] + Self.name(name)
        integer(number)
    }

    /// `Name (name, "text")`
    mutating func define(_ name: String, text: String) {
        bytes += [0x08] + Self.name(name) + [0x0d] + Array(text.utf8) + [0]
    }

    /// `Name (name, EisaId ("PNP0501"))`
    mutating func define(_ name: String, identifier: String) {
        let characters = Array(identifier.utf8)
        let letters = characters.prefix(3).reduce(0) { $0 << 5 | UInt32($1 &- 0x40) & 0x1f }
        let number = UInt32(identifier.suffix(4), radix: 16) ?? 0
        bytes += [0x08] + Self.name(name) + [0x0c] + littleEndian((letters << 16 | number).byteSwapped)
    }

    /// `Name (name, Package () { numbers })`
    mutating func define(_ name: String, package numbers: [UInt64]) {
        bytes += [0x08] + Self.name(name)
        package([0x12], name: nil) { aml in
            aml.bytes.append(UInt8(truncatingIfNeeded: numbers.count))
            for number in numbers { aml.integer(number) }
        }
    }

    /// `Name (_CRS, ResourceTemplate () { … })`
    mutating func resources(_ resources: [Resource]) {
        let template = resources.flatMap(\.bytes) + [0x79, 0]
        bytes += [0x08] + Self.name("_CRS")
        package([0x11], name: nil) { aml in
            aml.integer(UInt64(template.count))
            aml.bytes += template
        }
    }

    /// A one-byte I/O port as a field: `OperationRegion` and `Field`.
    mutating func portField(_ field: String, region: String, port: UInt64) {
        bytes += [0x5b, 0x80] + Self.name(region) + [1]
        integer(port)
        integer(1)
        package([0x5b, 0x81], name: region) { aml in aml.bytes += [1] + Self.name(field) + [8] }
    }

    /// `If (field & bit) { Notify (device, value) }`
    mutating func notify(_ device: String, _ value: UInt64, ifField field: String, has bit: UInt64) {
        package([0xa0], name: nil) { aml in
            aml.bytes += [0x7b] + Self.name(field)
            aml.integer(bit)
            aml.bytes += [0, 0x86] + Self.name(device)
            aml.integer(value)
        }
    }

    private mutating func integer(_ value: UInt64) {
        switch value {
        case 0, 1: bytes.append(UInt8(value))
        case ..<0x100: bytes += [0x0a, UInt8(value)]
        case ..<0x1_0000: bytes += [0x0b] + littleEndian(UInt16(value))
        case ..<0x1_0000_0000: bytes += [0x0c] + littleEndian(UInt32(value))
        default: bytes += [0x0e] + littleEndian(value)
        }
    }

    /// An operation whose length precedes its content.
    private mutating func package(_ operation: [UInt8], name: String?, _ body: (inout AML) -> Void) {
        var content = AML()
        if let name { content.bytes += Self.name(name) }
        body(&content)
        bytes += operation + Self.length(of: content.bytes.count) + content.bytes
    }

    /// `PkgLength`, which counts its own bytes (20.2.4).
    private static func length(of content: Int) -> [UInt8] {
        if content + 1 < 1 << 6 { return [UInt8(content + 1)] }
        let more = content + 2 < 1 << 12 ? 1 : content + 3 < 1 << 20 ? 2 : 3
        let total = content + 1 + more
        return [UInt8(more << 6 | total & 0xf)] + (0..<more).map { UInt8(truncatingIfNeeded: total >> (4 + 8 * $0)) }
    }

    /// A name of up to four characters, with a leading `\` for the root.
    private static func name(_ name: String) -> [UInt8] {
        let root = name.hasPrefix("\\")
        let segment = Array(name.utf8.dropFirst(root ? 1 : 0).prefix(4))
        return (root ? [0x5c] : []) + segment + [UInt8](repeating: 0x5f, count: 4 - segment.count)
    }
}

/// What a device uses (ACPI 6.4, 6.4).
enum Resource {
    case ports(Range<UInt64>)
    case registers(at: UInt64, size: UInt64)
    /// Edge-triggered, active high, not shared.
    case interrupt(UInt32)

    var bytes: [UInt8] {
        switch self {
        case .ports(let range):
            let start = littleEndian(UInt16(truncatingIfNeeded: range.lowerBound))
            return [0x47, 1] + start + start + [0, UInt8(truncatingIfNeeded: range.count)]
        case .registers(let address, let size):
            return [0x86, 9, 0, 1] + littleEndian(UInt32(truncatingIfNeeded: address))
                + littleEndian(UInt32(truncatingIfNeeded: size))
        case .interrupt(let number):
            return [0x89, 6, 0, 3, 1] + littleEndian(number)
        }
    }
}

func littleEndian<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian, Array.init)
}
