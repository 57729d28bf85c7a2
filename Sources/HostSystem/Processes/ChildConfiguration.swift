/// A child process to start.
public struct ChildConfiguration: Sendable {
    /// Where a child reads from.
    public enum Input: Sendable {
        /// `/dev/null`.
        case null
        /// A descriptor of ours, which must stay open until the child has started.
        case descriptor(Int32)
    }

    /// Where a child writes to.
    public enum Output: Sendable {
        /// `/dev/null`.
        case null
        /// A descriptor of ours, which must stay open until the child has started.
        case descriptor(Int32)
        /// The end of a file, made when it is not there.
        case file(String)
        /// Kept in memory: the last so many bytes.
        case ring(Int)
        /// Handed over as it comes, on the event loop's thread: do not block there.
        case receiver(@Sendable ([UInt8]) -> Void)
    }

    /// Absolute path of the program.
    public var executable: String
    /// What it gets after its own name.
    public var arguments: [String]
    /// Its whole environment; nil gives it ours.
    public var environment: [String: String]?
    /// Where it starts; nil starts it where we are.
    public var workingDirectory: String?
    /// Its standard input.
    public var standardInput: Input
    /// Its standard output.
    public var standardOutput: Output
    /// Its standard error.
    public var standardError: Output
    /// Further descriptors: the child's number (3 and up) to ours, which must stay open until it has started.
    public var inherited: [Int32: Int32]
    /// Whether its memory is only ever as large as what it touched, in small pages: for one of many that should be small.
    public var hasSmallPages: Bool
    /// Whether it has no capabilities, cannot gain any, dumps no core, and has network, IPC and host-name namespaces of its own
    /// where the host allows that: for one that works for somebody who is not trusted.
    public var isUnprivileged: Bool

    /// A child that reads nothing, whose output is dropped and whose last 64 KiB on standard error are kept.
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
