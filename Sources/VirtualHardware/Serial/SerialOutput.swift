/// What a guest has written to a serial port and the host has not read yet: a bounded ring.
struct SerialOutput {
    private var bytes: [UInt8]
    private var start = 0
    private(set) var count = 0
    private(set) var dropped: UInt64 = 0

    init(capacity: Int) {
        bytes = [UInt8](repeating: 0, count: capacity)
    }

    /// Whether another burst of a full FIFO fits.
    var hasRoom: Bool { count + UART16550.fifoSize <= bytes.count }

    mutating func append(_ byte: UInt8) {
        guard count < bytes.count else {
            dropped &+= 1
            return
        }
        bytes[(start + count) % bytes.count] = byte
        count += 1
    }

    mutating func take(_ limit: Int) -> [UInt8] {
        let taken = min(limit, count)
        let first = min(taken, bytes.count - start)
        let result = Array(bytes[start..<(start + first)]) + Array(bytes[..<(taken - first)])
        start = (start + taken) % bytes.count
        count -= taken
        return result
    }
}
