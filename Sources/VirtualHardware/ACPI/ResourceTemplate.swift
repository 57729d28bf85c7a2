/// What a device uses, as its `_CRS` says it (ACPI 6.4, 6.4).
enum Resource {
    /// So many ports from `port` on, decoded in all 16 bits.
    case ports(UInt64, count: UInt8)
    /// Memory-mapped registers, readable and writable.
    case memory(UInt64, size: UInt64)
    /// An interrupt of the ISA bus, 0 to 15: edge-triggered, active high, its own.
    case isaInterrupt(UInt32)
    /// An interrupt by its global number: edge-triggered, active high, its own.
    case interrupt(UInt32)

    fileprivate var descriptor: [UInt8] {
        switch self {
        case .ports(let port, let count):
            let base = AML.littleEndian(UInt16(truncatingIfNeeded: port))
            return [0x47, 0x01] + base + base + [0x01, count]
        case .memory(let address, let size):
            return [0x86, 0x09, 0x00, 0x01] + AML.littleEndian(UInt32(truncatingIfNeeded: address))
                + AML.littleEndian(UInt32(truncatingIfNeeded: size))
        case .isaInterrupt(let number):
            return [0x22] + AML.littleEndian(UInt16(1) << UInt16(truncatingIfNeeded: number & 0xf))
        case .interrupt(let number):
            let consumer: UInt8 = 1 << 0
            let edge: UInt8 = 1 << 1
            return [0x89, 0x06, 0x00, consumer | edge, 1] + AML.littleEndian(number)
        }
    }

    /// The value of `_CRS`.
    static func template(_ resources: [Resource]) -> AML.Term {
        // The end tag's checksum 0 says that there is none.
        AML.buffer(resources.flatMap(\.descriptor) + [0x79, 0x00])
    }
}
