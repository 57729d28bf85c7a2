/// Recognises terminal escape sequences (ECMA-48), one scalar at a time.
public enum EscapeSequence: Sendable {
    /// Between sequences, or in one: behind its ESC, in a control sequence (CSI), in a string (OSC and its like), at its end.
    case none, begun, control, string, stringEnd

    /// Whether the scalar belongs to a sequence and is not text.
    public mutating func consumes(_ scalar: Unicode.Scalar) -> Bool {
        switch self {
        case .none:
            switch scalar {
            case "\u{1B}": self = .begun
            case "\u{9B}": self = .control
            case "\u{90}", "\u{98}", "\u{9D}", "\u{9E}", "\u{9F}": self = .string
            default: return false
            }
        case .begun:
            switch scalar {
            case "[": self = .control
            case "]", "P", "X", "^", "_": self = .string
            case " "..."/": break
            case "0"..."~": self = .none
            default: return restart(scalar)
            }
        case .control:
            switch scalar {
            case "@"..."~": self = .none
            case " "..."?": break
            default: return restart(scalar)
            }
        case .string:
            switch scalar {
            case "\u{7}", "\u{9C}": self = .none
            case "\u{1B}": self = .stringEnd
            // A string that never ends must not swallow the rest of the output.
            case "\n", "\r": return restart(scalar)
            default: break
            }
        case .stringEnd:
            if scalar != "\\" { return restart(scalar) }
            self = .none
        }
        return true
    }

    private mutating func restart(_ scalar: Unicode.Scalar) -> Bool {
        self = .none
        return consumes(scalar)
    }
}
