/// A script for a guest's own shell, run in its own process unless declared otherwise, so that nothing of it stays in the session.
/// Its standard input is empty (`/dev/null`, `NUL`) without `input` or `folder`; both outputs are one stream, in the order
/// written unless `folder` keeps standard error apart.
public struct GuestCommand: Sendable {
    /// The text, one line or many, in the language of its shell. Without NUL.
    public let script: String
    /// What runs it where the guest has a POSIX shell. cmd.exe runs all of its guest's scripts itself.
    public var shell: ScriptShell
    /// The name of the script's file, if its shell needs one; without slashes.
    public var name: String
    /// Exported to the script and to nothing else, in order. Names are letters, digits and `_`; values have no NUL.
    public var environment: [(name: String, value: String)]
    /// Where it starts, an absolute path of the guest; nil for the session's own, the same for every command.
    public var workingDirectory: String?
    /// The user that it runs as, with that user's home, shell and groups; nil for the session's own. It starts in the user's home.
    public var user: String?
    /// Where its input is, or its standard error is kept.
    public var folder: CommandFolder?
    /// Its input, on a terminal where the guest has one; nil for an empty input.
    public var input: CommandInput?
    /// Whether the session's POSIX shell runs it itself, so that it can change the shell's state: for short lines, best of
    /// builtins, where a process costs too much. Environment and working directory are ignored.
    public var inSession: Bool

    /// A command as given. Windows' line ends and a byte order mark are removed from the script.
    public init(
        _ script: String, shell: ScriptShell = .plain, name: String = "script",
        environment: [(name: String, value: String)] = [], workingDirectory: String? = nil, user: String? = nil,
        folder: CommandFolder? = nil, input: CommandInput? = nil, inSession: Bool = false
    ) {
        self.inSession = inSession
        self.input = input
        self.script = script.asScript
        self.shell = shell
        self.name = name
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.user = user
        self.folder = folder
    }

    /// Whether a text can be the name of a user: letters, digits, `_`, `.` and `-`, at most 32 of them, not beginning with `-`.
    public static func isUser(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        let marks = [UInt8(ascii: "."), UInt8(ascii: "-")]
        return (1...32).contains(bytes.count) && bytes.first != marks[1]
            && bytes.allSatisfy { isWordByte($0) || marks.contains($0) }
    }

    /// Throws `invalidCommand` for what no shell can run.
    func check() throws(ConsoleError) {
        if script.utf8.contains(0) {
            throw .invalidCommand("a script cannot contain a NUL byte")
        }
        for (name, value) in environment {
            let letters = name.utf8
            let valid = letters.allSatisfy { isWordByte($0) } && letters.first.map { !(48...57).contains($0) } == true
            guard valid else {
                throw .invalidCommand("`\(name)` cannot be the name of an environment variable")
            }
            if value.utf8.contains(0) {
                throw .invalidCommand("the value of the environment variable `\(name)` contains a NUL byte")
            }
        }
        if let user, !Self.isUser(user) { throw .invalidCommand("`\(user)` cannot be the name of a user") }
        if workingDirectory?.utf8.contains(0) == true {
            throw .invalidCommand("the working directory contains a NUL byte")
        }
    }
}

/// How a command ended. A status other than 0 is a result, not an error.
public struct CommandResult: Sendable, Hashable {
    /// Exit status: 0…255 of a POSIX shell, 128 + n when signal n killed it; 32 bits, signed, of Windows.
    public var exit: Int32
    /// How much it printed, in bytes.
    public var bytes: Int
    /// From the command's sending to its end marker.
    public var duration: Duration

    /// A result as given.
    public init(exit: Int32, bytes: Int, duration: Duration) {
        self.exit = exit
        self.bytes = bytes
        self.duration = duration
    }
}

/// Whether a byte is an ASCII letter, a digit or `_`.
func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        true
    default: false
    }
}
