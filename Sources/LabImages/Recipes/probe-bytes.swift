/// A run of bytes somewhere in memory: the probe has no heap, and its texts stay where they are.
struct Bytes {
    var start: UnsafeMutablePointer<UInt8>
    var count: Int

    init(start: UnsafeMutablePointer<UInt8>, count: Int) {
        self.start = start
        self.count = count
    }

    init(_ text: StaticString) {
        start = UnsafeMutablePointer(mutating: text.utf8Start)
        count = text.utf8CodeUnitCount
    }

    /// A number's digits, in a buffer that the next number takes over.
    init(decimal number: Int) {
        let end = Memory.digits + 32
        start = end
        count = 0
        var rest = number.magnitude
        repeat {
            push(UInt8(truncatingIfNeeded: 0x30 &+ rest % 10))
            rest /= 10
        } while rest > 0
        if number < 0 { push(0x2d) }
    }

    private mutating func push(_ byte: UInt8) {
        start -= 1
        start.pointee = byte
        count &+= 1
    }

    var isEmpty: Bool { count == 0 }

    subscript(index: Int) -> UInt8 { index < count ? start[index] : 0 }

    /// Without its first bytes.
    func dropping(_ number: Int) -> Bytes {
        let number = number < count ? number : count
        return Bytes(start: start + number, count: count &- number)
    }

    func prefix(_ number: Int) -> Bytes { Bytes(start: start, count: number < count ? number : count) }

    func hasPrefix(_ text: StaticString) -> Bool {
        count >= text.utf8CodeUnitCount && prefix(text.utf8CodeUnitCount) == Bytes(text)
    }

    /// The index of a byte; the count when it is not there.
    func index(of byte: UInt8) -> Int {
        var index = 0
        while index < count, start[index] != byte { index &+= 1 }
        return index
    }

    static func == (one: Bytes, other: Bytes) -> Bool {
        guard one.count == other.count else { return false }
        var index = 0
        while index < one.count {
            if one.start[index] != other.start[index] { return false }
            index &+= 1
        }
        return true
    }

    static func == (one: Bytes, other: StaticString) -> Bool { one == Bytes(other) }

    /// The decimal number that this begins with, and its sign; nil without digits.
    var number: Int? {
        let negative = self[0] == 0x2d
        var index = negative ? 1 : 0
        guard index < count, isDigit(start[index]) else { return nil }
        var result = 0
        while index < count, isDigit(start[index]) {
            result = result &* 10 &+ Int(start[index] &- 0x30)
            index &+= 1
        }
        return negative ? 0 &- result : result
    }
}

func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

func isLetter(_ byte: UInt8) -> Bool { byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7a }

func isNameByte(_ byte: UInt8) -> Bool { isDigit(byte) || byte == 0x5f || isLetter(byte) }

/// A text that grows, in a place of its own, up to a limit behind which bytes are lost.
struct TextBuffer {
    let start: UnsafeMutablePointer<UInt8>
    let limit: Int
    private(set) var count = 0

    init(_ start: UnsafeMutablePointer<UInt8>, limit: Int) {
        self.start = start
        self.limit = limit
    }

    var bytes: Bytes { Bytes(start: start, count: count) }

    mutating func append(_ byte: UInt8) {
        guard count < limit else { return }
        start[count] = byte
        count &+= 1
    }

    mutating func append(_ text: Bytes) {
        var index = 0
        while index < text.count {
            append(text.start[index])
            index &+= 1
        }
    }

    /// Back to an earlier length.
    mutating func cut(to length: Int) { count = length }

    /// Removes so many bytes from an index on.
    mutating func cut(_ number: Int, at index: Int) {
        var index = index &+ number
        while index < count {
            start[index &- number] = start[index]
            index &+= 1
        }
        count &-= number
    }
}

/// Where everything is: fixed places in the machine's RAM (at least 32 MiB), far above the kernel at 1 MiB.
enum Memory {
    static var interruptTable: UnsafeMutablePointer<UInt64> { place(0x40_0000) }
    static var digits: UnsafeMutablePointer<UInt8> { place(0x40_2000) }
    static var checksumTable: UnsafeMutablePointer<UInt32> { place(0x40_3000) }
    /// Words of commands, and how many fit.
    static var arguments: UnsafeMutablePointer<Bytes> { place(0x40_8000) }
    static var argumentLimit: Int { 0x800 }
    /// 256 KiB each: what is typed, the words of commands, variables, the lines of either shell, the batch file.
    static var typed: TextBuffer { TextBuffer(place(0x41_0000), limit: textLimit) }
    static var words: TextBuffer { TextBuffer(place(0x45_0000), limit: textLimit) }
    static var variables: TextBuffer { TextBuffer(place(0x49_0000), limit: textLimit) }
    static var shellLine: TextBuffer { TextBuffer(place(0x4d_0000), limit: textLimit) }
    static var batchLine: TextBuffer { TextBuffer(place(0x51_0000), limit: textLimit) }
    static var batchFile: TextBuffer { TextBuffer(place(0x55_0000), limit: textLimit) }
    /// 64 KiB for each virtio device: its queues and buffers.
    static var virtio: UInt { 0x60_0000 }
    /// 64 KiB of disk or frames.
    static var data: UnsafeMutablePointer<UInt8> { place(0x80_0000) }

    private static let textLimit = 0x4_0000

    private static func place<Element>(_ address: UInt) -> UnsafeMutablePointer<Element> {
        UnsafeMutablePointer(bitPattern: address).unsafelyUnwrapped
    }
}
