import Glibc

/// The first index of `needle` in `bytes`; nil when there is none. Uses the C library (Swift's Glibc module hides `memmem`), so
/// that ten megabytes are cheap in debug builds too.
func firstIndex(of needle: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
    // Line feeds are frequent; a byte after them is a better anchor.
    let anchor = needle.firstIndex { $0 > 0x0d } ?? 0
    let offset: Int? = bytes.withUnsafeBytes { hay -> Int? in
        needle.withUnsafeBytes { pin -> Int? in
            guard let base = hay.baseAddress, let pattern = pin.baseAddress, hay.count >= pin.count else { return nil }
            var start = 0
            let last = hay.count - pin.count
            while start <= last {
                guard let found = memchr(base + start + anchor, Int32(pin[anchor]), last - start + 1) else {
                    return nil
                }
                start = UnsafeRawPointer(found) - base - anchor
                if memcmp(base + start, pattern, pin.count) == 0 { return start }
                start += 1
            }
            return nil
        }
    }
    return offset.map { bytes.startIndex + $0 }
}

/// The number of bytes at the end of `bytes` that may begin `needle`: a search must keep them until more arrives.
func possibleStart(of needle: [UInt8], atEndOf bytes: ArraySlice<UInt8>) -> Int {
    guard let first = needle.first else { return 0 }
    var tail = bytes.suffix(needle.count - 1)
    while let start = tail.withUnsafeBytes({ offset(of: first, in: $0) }) {
        tail = tail.dropFirst(start)
        if tail.elementsEqual(needle.prefix(tail.count)) { return tail.count }
        tail = tail.dropFirst()
    }
    return 0
}

/// The first offset of `byte` in `bytes`; nil when there is none.
func offset(of byte: UInt8, in bytes: UnsafeRawBufferPointer) -> Int? {
    guard let base = bytes.baseAddress, let found = memchr(base, Int32(byte), bytes.count) else { return nil }
    return UnsafeRawPointer(found) - base
}

/// Finds a byte string in a stream that arrives in arbitrary pieces.
struct StreamSearch: Sendable {
    let needle: [UInt8]
    private var held: [UInt8] = []

    init(_ needle: [UInt8]) {
        self.needle = needle
    }

    /// Takes the next piece. Returns the index in `piece` behind the first occurrence; nil when there is none yet. The search then
    /// starts afresh: pass the rest of the piece again.
    mutating func take(_ piece: ArraySlice<UInt8>) -> Int? {
        if !held.isEmpty {
            // An occurrence that began in earlier pieces ends within the first bytes of this one.
            let joint = held + piece.prefix(needle.count - 1)
            if let start = firstIndex(of: needle, in: joint[...]) {
                let end = start + needle.count - held.count
                held = []
                return piece.startIndex + end
            }
            if piece.count < needle.count - 1 {
                held = Array(joint.suffix(possibleStart(of: needle, atEndOf: joint[...])))
                return nil
            }
        }
        if let start = firstIndex(of: needle, in: piece) {
            held = []
            return start + needle.count
        }
        held = Array(piece.suffix(possibleStart(of: needle, atEndOf: piece)))
        return nil
    }
}
