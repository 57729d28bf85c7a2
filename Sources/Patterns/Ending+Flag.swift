import CPCRE2

extension Pattern.Ending {
    /// PCRE2's option for it.
    var flag: UInt32 {
        switch self {
        case .final: 0
        case .open: PCRE2_PARTIAL_HARD
        case .prompt: PCRE2_PARTIAL_SOFT
        }
    }
}
