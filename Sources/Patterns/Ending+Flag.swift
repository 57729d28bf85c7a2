import CPCRE2

extension Pattern.Ending {
    /// The option of PCRE2's that means it.
    var flag: UInt32 {
        switch self {
        case .final: 0
        case .open: PCRE2_PARTIAL_HARD
        case .prompt: PCRE2_PARTIAL_SOFT
        }
    }
}
