import Glibc

/// Where `needle` first occurs in `bytes`, as an index of `bytes`; nil when it does not.
///
/// The C library searches (Swift's Glibc module hides `memmem`), so ten megabytes stay cheap in debug builds too.
func firstIndex(of needle: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
    // A line feed is everywhere; what comes behind it is a better thing to look for.
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

/// How many bytes at the end of `bytes` may be the beginning of `needle`: what a search must keep until more arrives.
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

/// Where `byte` first occurs in `bytes`, from their start; nil when it does not.
func offset(of byte: UInt8, in bytes: UnsafeRawBufferPointer) -> Int? {
    guard let base = bytes.baseAddress, let found = memchr(base, Int32(byte), bytes.count) else { return nil }
    return UnsafeRawPointer(found) - base
}

/// Finds one byte string in a stream that arrives in pieces, however it is cut.
struct StreamSearch: Sendable {
    let needle: [UInt8]
    private var held: [UInt8] = []

    init(_ needle: [UInt8]) {
        self.needle = needle
    }

    /// Takes the next piece. Returns the index in `piece` behind the first occurrence, nil when there is none yet.
    /// After an occurrence the search starts afresh: the caller hands the rest of the piece in again.
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
