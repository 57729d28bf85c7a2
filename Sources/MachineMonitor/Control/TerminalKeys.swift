/// Finds the monitor's own key sequences in terminal input, as in QEMU: Ctrl-A and another key.
struct TerminalKeys {
    struct Typed: Equatable {
        var bytes: [UInt8] = []
        var wantsHelp = false
        var wantsQuit = false
    }

    /// The output of Ctrl-A h; a terminal in raw mode needs the carriage returns.
    static let help = "\r\nCtrl-A h  this help\r\nCtrl-A x  end the machine\r\nCtrl-A Ctrl-A  send a Ctrl-A\r\n"

    private static let escape: UInt8 = 0x01
    private var hasEscape = false

    /// Processes input, which may split a key sequence. Unknown keys after Ctrl-A are dropped.
    mutating func typed(_ bytes: [UInt8]) -> Typed {
        var result = Typed()
        for byte in bytes {
            if !hasEscape {
                if byte == Self.escape { hasEscape = true } else { result.bytes.append(byte) }
                continue
            }
            hasEscape = false
            switch byte {
            case Self.escape: result.bytes.append(byte)
            case UInt8(ascii: "h"), UInt8(ascii: "?"): result.wantsHelp = true
            case UInt8(ascii: "x"): result.wantsQuit = true
            default: break
            }
        }
        return result
    }
}
