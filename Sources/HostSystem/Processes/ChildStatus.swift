import Glibc

/// How a process ended.
public enum ChildStatus: Sendable, Hashable, CustomStringConvertible {
    /// It returned this status, 0 to 255.
    case exited(Int32)
    /// A signal killed it.
    case signalled(Int32)

    /// Whether it is exit status 0.
    public var isSuccess: Bool { self == .exited(0) }

    /// `exit status 1`, `killed by SIGKILL`.
    public var description: String {
        switch self {
        case .exited(let status): "exit status \(status)"
        case .signalled(let number): "killed by \(Self.name(of: number))"
        }
    }

    private static func name(of signal: Int32) -> String {
        switch signal {
        case SIGKILL: "SIGKILL"
        case SIGTERM: "SIGTERM"
        case SIGINT: "SIGINT"
        case SIGHUP: "SIGHUP"
        case SIGSEGV: "SIGSEGV"
        case SIGABRT: "SIGABRT"
        case SIGBUS: "SIGBUS"
        case SIGILL: "SIGILL"
        case SIGTRAP: "SIGTRAP"
        case SIGPIPE: "SIGPIPE"
        case SIGSYS: "SIGSYS"
        case SIGXCPU: "SIGXCPU"
        case SIGXFSZ: "SIGXFSZ"
        default: "signal \(signal)"
        }
    }
}
