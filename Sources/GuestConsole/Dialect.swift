/// How one kind of guest is spoken to: everything that tells one shell from another, as data.
///
/// `CommandSession` is the one interpreter. A new kind of guest is a new value of this type.
public struct Dialect: Sendable {
    /// Short name, for messages.
    public var name: String
    /// What the guest prints whenever its shell (re)starts; nil for guests that do not announce themselves.
    public var greeting: [UInt8]?
    /// What to answer to what the guest says on the way to its shell; empty when the greeting is all there is.
    public var reactions: [Reaction] = []
    /// What brings a prompt back that something else was printed over; empty where nothing is sure to.
    public var nudge: [UInt8] = []
    /// Typed once per greeting, before the first command. Idempotent.
    public var setup: [UInt8]
    /// A line whose answer contains the nonce, though the line itself does not: shows that the shell reads and runs lines.
    public var probe: @Sendable (Nonce) -> [UInt8]
    /// The exchanges that run one command, in order; the last one's status is the command's, and in
    /// those before it one other than 0 means that the guest could not take the command in.
    public var exchanges: @Sendable (GuestCommand) throws(ConsoleError) -> [Exchange]
    /// What to type to end a command's input, behind an open line or not: as a person does at such a guest's terminal.
    public var endOfInput: @Sendable (_ isBehindOpenLine: Bool) -> [UInt8] = { $0 ? [4, 4] : [4] }
    /// What the shell says last of a command that failed, though its status says that it did not.
    public var complaints: [[UInt8]] = []
    /// What to type to stop the running command: tried in order, spread over the grace period; the last ends it by force.
    public var interrupts: [[UInt8]]
    /// What kills the processes that an interrupted command has left in the background; nil where there can be none.
    public var cleanUp: (@Sendable () -> Exchange)?
    /// The status of an exchange before the command's own that says: the shell was replaced for this command and will greet. Nil
    /// where that does not happen.
    public var renewed: Int32?
    /// As `exchanges`, in the guest's control shell; nil where there is none.
    public var controlShell: (@Sendable (GuestCommand) throws(ConsoleError) -> [Exchange])?
    /// What to type to set variables of the session's own shell, which its programs inherit: plain names and values. Prints
    /// nothing. Nil where it is not needed.
    public var setting: (@Sendable ([(name: String, value: String)]) -> [UInt8])?
    /// How the next command can be started before it is known; nil where a command starts at once anyway.
    public var prewarmed: PrewarmedShell?
}

/// How a shell in which commands take long to start can have one waiting: for guests that are about to be saved, so that those
/// that go on from there only have to let it go.
public struct PrewarmedShell: Sendable {
    /// What has a command wait. The shell can do nothing else until that has run.
    public var exchanges: @Sendable () -> [Exchange]
    /// As a dialect's setup and probe, where a command waits.
    public var opening: @Sendable (Nonce) -> [UInt8]
    /// As a dialect's exchanges, for the command that waits. The variables are set for it, and in the session's shell
    /// for those that come after it.
    public var command:
        @Sendable (GuestCommand, _ variables: [(name: String, value: String)]) throws(ConsoleError) -> [Exchange]
}

/// One thing said and its framed answer.
public struct Exchange: Sendable {
    /// What is typed, the final newline included.
    public var text: [UInt8]
    /// What the guest prints before the output; empty when all of the answer counts.
    public var begin: [UInt8]
    /// What the guest prints behind the output.
    public var end: [UInt8]
    /// Whether the output is the command's; else it is dropped.
    public var isOutput: Bool
    /// Whether the exit status follows the end, up to a line feed: decimal, or hexadecimal with `0x`.
    public var hasStatus: Bool
    /// Whether it lets the command go that waits.
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

/// An answer to something a guest says before its shell is ready.
public struct Reaction: Sendable, Hashable {
    /// What it is that the guest asks for.
    public enum Question: Sendable, Hashable {
        case login, password, shell, other
    }

    /// What to do when the pattern is met.
    public enum Action: Sendable, Hashable {
        /// Type these bytes.
        case type([UInt8])
        /// The shell is ready.
        case ready
    }

    /// A regular expression, met anywhere in what was said since the last reaction, escape sequences and the kernel's log taken out.
    public var pattern: String
    /// What to do then.
    public var action: Action
    /// How many times at most, so that a refused login does not go round for ever.
    public var times: Int
    /// What the guest asks for there.
    public var question: Question

    /// A reaction as given.
    public init(_ pattern: String, _ action: Action, times: Int = 1, to question: Question = .other) {
        self.pattern = pattern
        self.question = question
        self.action = action
        self.times = times
    }
}
