/// A child process to start.
public struct ChildConfiguration: Sendable {
    /// A child's standard input.
    public enum Input: Sendable {
        /// `/dev/null`.
        case null
        /// A descriptor of ours, which must stay open until the child has started.
        case descriptor(Int32)
    }

    /// A destination of a child's output.
    public enum Output: Sendable {
        /// `/dev/null`.
        case null
        /// A descriptor of ours, which must stay open until the child has started.
        case descriptor(Int32)
        /// Appended to a file, created if missing.
        case file(String)
        /// Kept in memory: the last bytes, up to this count.
        case ring(Int)
        /// Delivered as it arrives, on the event loop's thread: do not block there.
        case receiver(@Sendable ([UInt8]) -> Void)
    }

    /// Absolute path of the program.
    public var executable: String
    /// Its arguments, without the program's name.
    public var arguments: [String]
    /// Its complete environment; nil inherits ours.
    public var environment: [String: String]?
    /// Its working directory; nil inherits ours.
    public var workingDirectory: String?
    /// Its standard input.
    public var standardInput: Input
    /// Its standard output.
    public var standardOutput: Output
    /// Its standard error.
    public var standardError: Output
    /// Further descriptors: the child's number (3 and up) mapped to ours, which must stay open until it has started.
    public var inherited: [Int32: Int32]
    /// Whether it uses small pages only, so that its memory is no larger than what it touched: for one of many small children.
    public var hasSmallPages: Bool
    /// Whether it has no capabilities, cannot gain any, dumps no core, and has its own network, IPC and UTS namespaces where the
    /// host allows that: for a child that handles untrusted input.
    public var isUnprivileged: Bool

    /// A child without input or standard output, whose last 64 KiB on standard error are kept.
    public init(
        executable: String, arguments: [String] = [], environment: [String: String]? = nil,
        workingDirectory: String? = nil, standardInput: Input = .null, standardOutput: Output = .null,
        standardError: Output = .ring(64 * 1024), inherited: [Int32: Int32] = [:],
        hasSmallPages: Bool = false, isUnprivileged: Bool = false
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.standardInput = standardInput
        self.standardOutput = standardOutput
        self.standardError = standardError
        self.inherited = inherited
        self.hasSmallPages = hasSmallPages
        self.isUnprivileged = isUnprivileged
    }
}
