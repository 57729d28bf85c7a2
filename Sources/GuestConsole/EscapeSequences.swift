/// `bytes` as text without terminal escape sequences and control characters other than tab and the line ends.
///
/// For matching and reading; recordings keep every byte.
public func withoutEscapes(_ bytes: ArraySlice<UInt8>) -> String {
    let escape: UInt8 = 0x1b
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var rest = bytes
    while let byte = rest.popFirst() {
        if byte == escape {
            dropSequence(&rest)
        } else if byte >= 0x20 && byte != 0x7f || (9...13).contains(byte) {
            result.append(byte)
        }
    }
    return String(decoding: result, as: UTF8.self)
}

/// Drops what follows an ESC: a control sequence (CSI), a string (OSC and its like) or a short one.
private func dropSequence(_ rest: inout ArraySlice<UInt8>) {
    switch rest.popFirst() {
    case UInt8(ascii: "["):
        while let byte = rest.popFirst(), !(0x40...0x7e).contains(byte) {}
    case UInt8(ascii: "]"), UInt8(ascii: "P"), UInt8(ascii: "X"), UInt8(ascii: "^"), UInt8(ascii: "_"):
        // Ends with BEL or ESC \.
        while let byte = rest.popFirst(), byte != 7 {
            if byte == 0x1b {
                rest = rest.dropFirst()
                return
            }
        }
    case .some(0x20...0x2f):
        while let byte = rest.popFirst(), (0x20...0x2f).contains(byte) {}
    default: break
    }
}
