extension Pattern {
    /// From where on a text is needed to search it from `place` on.
    public func contextStart(before place: Int, in text: [UInt8]) -> Int {
        characterStart(before: max(place - code.context, 0), in: text)
    }
}

/// The place in a text of UTF-8 at which the character begins that `place` is within, or the place itself.
public func characterStart(before place: Int, in text: [UInt8]) -> Int {
    var start = place
    while start > 0, start < text.count, text[start] & 0xC0 == 0x80 { start -= 1 }
    return start
}
