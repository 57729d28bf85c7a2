extension Pattern {
    /// The start of the text that a search from `place` on needs.
    public func contextStart(before place: Int, in text: [UInt8]) -> Int {
        characterStart(before: max(place - code.context, 0), in: text)
    }
}

/// The place at which the character around `place` begins in UTF-8, or the place itself.
public func characterStart(before place: Int, in text: [UInt8]) -> Int {
    var start = place
    while start > 0, start < text.count, text[start] & 0xC0 == 0x80 { start -= 1 }
    return start
}
