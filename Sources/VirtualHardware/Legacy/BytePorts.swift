/// A device of one-byte ports: a wider access is split into bytes, lowest port first, as the ISA bus does.
protocol BytePorts: BusDevice {
    /// Reads the port at `offset`; all ones where there is none.
    func readPort(_ offset: UInt64) -> UInt8
    /// Writes the port at `offset`; nothing happens where there is none.
    func writePort(_ value: UInt8, _ offset: UInt64)
}

extension BytePorts {
    public func read(at offset: UInt64, width: Int) -> UInt64 {
        (0..<UInt64(clamping: min(width, 8))).reduce(0) { $0 | UInt64(readPort(offset &+ $1)) << (8 * $1) }
    }

    public func write(_ value: UInt64, at offset: UInt64, width: Int) {
        for lane in 0..<UInt64(clamping: min(width, 8)) {
            writePort(UInt8(truncatingIfNeeded: value >> (8 * lane)), offset &+ lane)
        }
    }
}
