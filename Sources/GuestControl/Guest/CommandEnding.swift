import LabSpec

extension GuestOS {
    /// How a command ended, in words: `ended with exit status 3`, and on Linux `was killed by SIGKILL (137)`.
    package func ending(_ status: Int32) -> String {
        signal(of: status).map { "was killed by \($0) (\(status))" } ?? "ended with exit status \(status)"
    }

    /// The same as a noun: `exit status 3`, `killed by SIGKILL (137)`.
    package func end(_ status: Int32) -> String {
        signal(of: status).map { "killed by \($0) (\(status))" } ?? "exit status \(status)"
    }

    /// A POSIX shell tells of a signal by 128 and its number.
    private func signal(of status: Int32) -> String? {
        let number = Int(status) - 128
        return self == .linux && Self.signals.indices.contains(number - 1) ? "SIG\(Self.signals[number - 1])" : nil
    }

    /// Linux' signals from 1 on, on x86.
    private static let signals = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ]
}
