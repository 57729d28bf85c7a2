import Diagnostics
import Patterns
import Quantities

/// One entry of `tasks:`.
public struct LabTask: Sendable {
    /// Unique in the lab.
    public var name: String
    /// Where it runs: each target yields one run per guest (`every`) or one run on a free guest (`any`), per repetition.
    public var targets: [TaskTarget]
    /// What it does.
    public var action: TaskAction
    /// What runs its script; nil for what its guest's group says.
    public var shell: String?
    /// The user of the guest that its script runs as; nil for the session's own.
    public var user: String?
    /// The guest's folder that its script starts in; nil for the session's own, or the user's home.
    public var folder: String?
    /// What its script reads; nil for an empty input.
    public var input: CommandSource?
    /// Whether standard error is kept apart too.
    public var errors = ErrorStream.merged
    /// What makes it pass.
    public var expect = Expectation()
    /// Deadline of one attempt; nil takes the lab's.
    public var timeout: Duration?
    /// How many more attempts after an infrastructure failure (or any failure with `retryOn` `.anyFailure`).
    public var retries = 0
    /// What a retry is for.
    public var retryOn = RetryReason.infrastructure
    /// How many times it runs; `VMLAB_INDEX` counts from 1.
    public var repetitions = 1
    /// Names of tasks that must have passed everywhere before this one starts.
    public var needs: [String] = []
    /// Whether it runs when what it needs did not pass.
    public var condition = TaskCondition.needsPassed
    /// Its environment, over the guest's.
    public var env: [EnvironmentVariable] = []
    /// Host files and folders copied into the guest before it runs.
    public var put: [FileCopy] = []
    /// Guest files and folders collected after it ran, also when it failed.
    public var get: [FileCollection] = []
    /// Whether the guest is rebooted after the action, and must become ready again.
    public var reboot = false
    /// What each of its runs finds.
    public var reset = TaskReset.nothing
    /// What of its guest's kernel fails it; nil takes the lab's.
    public var failOn: Set<TroubleKind>?
    /// How much of its output is kept; nil takes the lab's.
    public var outputLimit: ByteCount?
    /// Where it is declared.
    public var span: SourceSpan?
}

extension LabTask {
    /// Whether its standard error is kept apart.
    public var separatesErrors: Bool { errors == .separate || !expect.stderr.isEmpty }

    /// A task with defaults for everything else.
    public init(_ name: String, on targets: [TaskTarget], _ action: TaskAction) {
        self.init(name: name, targets: targets, action: action)
    }

    /// Where a text first stands in the lab file from the task's beginning on; where the task is named, if it does not.
    public func place(of text: String) -> SourceSpan? {
        guard let span else { return nil }
        let rest = SourceSpan(
            file: span.file, start: SourcePosition(line: span.start.line, column: 1),
            end: SourcePosition(line: .max, column: 1))
        return rest.place(of: text) ?? span
    }
}

/// Where a task runs; guest names, already resolved from groups.
public enum TaskTarget: Sendable, Hashable {
    /// On each of these guests.
    case every([String])
    /// On whichever of these guests is free first.
    case any([String])

    /// The guests that it may come to.
    public var guests: [String] {
        switch self {
        case .every(let names), .any(let names): names
        }
    }
}

/// What a task does in the guest.
public enum TaskAction: Sendable, Hashable {
    /// Text for the guest's own shell (sh or cmd.exe), one line or many.
    case run(String)
    /// A file on the host whose text is given to the guest's own shell.
    case script(path: String)
    /// A Lua chunk, or a file of one.
    case lua(LuaSource)
    /// Nothing: the task only copies files or reboots.
    case nothing
}

/// What a command reads.
public enum CommandSource: Sendable, Hashable {
    /// These bytes.
    case text([UInt8])
    /// A file on the host, absolute.
    case file(String)
}

/// Where a command's standard error goes.
public enum ErrorStream: String, Sendable, Hashable, CaseIterable {
    /// To the output alone, in the order written.
    case merged
    /// To the output, and to a file of its own.
    case separate
}

/// Where the Lua of a task comes from.
public enum LuaSource: Sendable, Hashable {
    /// Written in the lab file.
    case inline(LuaText)
    /// A file on the host.
    case file(path: String)
}

/// What makes a task pass.
public struct Expectation: Sendable {
    /// The exit statuses that pass; by default 0. Windows statuses are 32 bits, signed.
    public var exit: [Int32] = [0]
    /// Regular expressions that must all match somewhere in the output; `^` and `$` match at line ends.
    public var stdout: [Pattern] = []
    /// The same for standard error, which is then kept apart.
    public var stderr: [Pattern] = []
    /// A Lua expression or chunk over `exit`, `output` and, if it is kept apart, `stderr` that must come out true.
    public var predicate: LuaText?
}

/// What a retry is for.
public enum RetryReason: String, Sendable, Hashable, CaseIterable {
    /// Only trouble that is not the task's own: the guest died, a file could not be copied.
    case infrastructure
    /// Any failure, the task's own verdict too.
    case anyFailure = "any"
}

/// What a run of a task finds in its guest.
public enum TaskReset: String, Sendable, Hashable, CaseIterable {
    /// The guest as the previous tasks left it.
    case nothing = "none"
    /// The guest as it was when it had just come up, a clone for this run alone.
    case snapshot
}

/// When a task runs.
public enum TaskCondition: Sendable, Hashable {
    /// When everything it needs has passed; else it is skipped.
    case needsPassed
    /// `if: always()`: once its dependencies have ended, with any result.
    case always
}

/// One entry of `put:`.
public struct FileCopy: Sendable, Hashable {
    /// On the host, absolute.
    public var host: String
    /// In the guest, absolute. With a final slash the source is placed inside.
    public var guest: String
    /// The handling of links below the source.
    public var links: LinkCopy
    /// What of a folder is left out; nil copies all of it.
    public var ignore: IgnoreRules?
    /// Where it is written.
    public var span: SourceSpan?

    /// A copy as given.
    public init(
        host: String, guest: String, links: LinkCopy = .keep, ignore: IgnoreRules? = nil, span: SourceSpan? = nil
    ) {
        self.host = host
        self.guest = guest
        self.links = links
        self.ignore = ignore
        self.span = span
    }
}

/// The handling of symbolic links below the source of a copy into a guest. A source that is itself a link is always followed.
public enum LinkCopy: String, Sendable, Hashable, CaseIterable {
    /// They are links in the guest, with the same target.
    case keep
    /// They become what they lead to.
    case follow
}

/// What of a folder is left out of a copy into a guest.
public enum IgnoreRules: String, Sendable, Hashable, CaseIterable {
    /// What git ignores in this checkout, and its own `.git`.
    case git
}

/// One entry of `get:`.
public struct FileCollection: Sendable, Hashable, ExpressibleByStringLiteral {
    /// In the guest, absolute; its last steps may be a pattern.
    public var path: String
    /// Its size limit; nil takes the default.
    public var limit: ByteCount?

    /// A collection as given.
    public init(_ path: String, limit: ByteCount? = nil) {
        self.path = path
        self.limit = limit
    }

    /// A path with the usual limit.
    public init(stringLiteral path: String) { self.init(path) }
}
