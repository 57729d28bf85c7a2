/// How to drive one kind of shell: everything that differs between shells, as data. `CommandSession` is the one interpreter. A new
/// kind of guest is a new value of this type.
public struct Dialect: Sendable {
    /// Short name, for messages.
    public var name: String
    /// What the guest prints whenever its shell starts; nil for guests that do not announce themselves.
    public var greeting: [UInt8]?
    /// Answers to prompts before the shell is ready; empty when there is only the greeting.
    public var reactions: [Reaction] = []
    /// Input that makes the guest print its prompt again; empty where no input does so reliably.
    public var nudge: [UInt8] = []
    /// Input after each greeting, before the first command. Idempotent.
    public var setup: [UInt8]
    /// A line whose output contains the nonce, though the line itself does not: proves that the shell runs lines.
    public var probe: @Sendable (Nonce) -> [UInt8]
    /// The exchanges that run one command, in order. The last one's status is the command's; a nonzero one of an earlier exchange
    /// means that the guest could not receive the command.
    public var exchanges: @Sendable (GuestCommand) throws(ConsoleError) -> [Exchange]
    /// Input that ends a command's standard input, after an unfinished line or not.
    public var endOfInput: @Sendable (_ isBehindOpenLine: Bool) -> [UInt8] = { $0 ? [4, 4] : [4] }
    /// Last lines of the shell's output that mean failure although the status is 0.
    public var complaints: [[UInt8]] = []
    /// Input that stops the running command: tried in order, spread over the grace period; the last one kills it.
    public var interrupts: [[UInt8]]
    /// Kills processes that an interrupted command has left in the background; nil where there can be none.
    public var cleanUp: (@Sendable () -> Exchange)?
    /// The status of a preceding exchange that means: the shell was replaced for this command and will greet. Nil without that.
    public var renewed: Int32?
    /// As `exchanges`, in the guest's control shell; nil where there is none.
    public var controlShell: (@Sendable (GuestCommand) throws(ConsoleError) -> [Exchange])?
    /// Input that sets variables of the session's shell: plain names and values. Prints nothing. Nil where it is not needed.
    public var setting: (@Sendable ([(name: String, value: String)]) -> [UInt8])?
    /// How to start the next command before it is known; nil where commands start quickly.
    public var prewarmed: PrewarmedShell?
}

/// How a shell with slow command starts can have one waiting: used before a snapshot, so that clones only release it.
public struct PrewarmedShell: Sendable {
    /// Starts a waiting command. The shell can do nothing else until that has run.
    public var exchanges: @Sendable () -> [Exchange]
    /// Replaces the dialect's setup and probe while a command waits.
    public var opening: @Sendable (Nonce) -> [UInt8]
    /// Replaces the exchanges for the waiting command. The variables are set for it and for later commands of the session.
    public var command:
        @Sendable (GuestCommand, _ variables: [(name: String, value: String)]) throws(ConsoleError) -> [Exchange]
}

/// Input and its framed output.
public struct Exchange: Sendable {
    /// The input, including the final newline.
    public var text: [UInt8]
    /// What the guest prints before the output; empty if everything is output.
    public var begin: [UInt8]
    /// What the guest prints after the output.
    public var end: [UInt8]
    /// Whether the output is the command's; otherwise it is dropped.
    public var isOutput: Bool
    /// Whether the exit status follows the end, up to a line feed: decimal, or hexadecimal with `0x`.
    public var hasStatus: Bool
    /// What a status of it means for the command that it prepares; other statuses than 0 mean that the guest could not receive it.
    public var refusals: [Int32: CommandRefusal] = [:]
    /// Whether it releases the waiting command.
    public var usesPrewarmed = false

    /// An exchange as given.
    public init(text: [UInt8], begin: [UInt8], end: [UInt8], isOutput: Bool = true, hasStatus: Bool = true) {
        self.text = text
        self.begin = begin
        self.end = end
        self.isOutput = isOutput
        self.hasStatus = hasStatus
    }
}

/// An answer to a prompt of the guest before its shell is ready.
public struct Reaction: Sendable, Hashable {
    /// What the guest asks for.
    public enum Question: Sendable, Hashable {
        case login, password, shell, other
    }

    /// What to do when the pattern matches.
    public enum Action: Sendable, Hashable {
        /// Type these bytes.
        case type([UInt8])
        /// The shell is ready.
        case ready
    }

    /// A regular expression. Matches anywhere in the output since the last reaction, without escape sequences and kernel messages.
    public var pattern: String
    /// What to do then.
    public var action: Action
    /// How many times at most, so that a refused login is not repeated forever.
    public var times: Int
    /// What the guest asks for.
    public var question: Question

    /// A reaction as given.
    public init(_ pattern: String, _ action: Action, times: Int = 1, to question: Question = .other) {
        self.pattern = pattern
        self.question = question
        self.action = action
        self.times = times
    }
}
