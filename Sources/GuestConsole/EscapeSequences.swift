import Diagnostics

/// `bytes` as text without terminal escape sequences and control characters other than tab and the line ends. For matching and
/// reading; recordings keep every byte.
public func withoutEscapes(_ bytes: ArraySlice<UInt8>) -> String {
    var escape = EscapeSequence.none
    let text = bytes.filter { byte in
        // Beyond ASCII a byte is a part of a character, which is no control.
        if escape.consumes(Unicode.Scalar(byte < 0x80 ? byte : 0xFF)) { return false }
        return byte >= 0x20 && byte != 0x7f || (9...13).contains(byte)
    }
    return String(decoding: text, as: UTF8.self)
}
