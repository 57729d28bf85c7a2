import Diagnostics
import HostSystem
import Quantities

/// A lab as values: one cell of its matrix, defaults applied, every name resolved. Checked when decoded: group and guest names are
/// unique, `needs` has no cycle, every target exists.
public struct Lab: Sendable {
    /// The `lab:` name: letters, digits, `.`, `_` and `-`.
    public var name: String
    /// The text it came from.
    public var source: SourceFile
    /// The folder that relative host paths start from.
    public var directory: String
    /// What of the host's files it may name.
    public var access = HostAccess.everything
    /// The cell of the matrix that this lab is, when the file has a matrix.
    public var cell: MatrixCell?
    /// Images declared in the file by name; other names are the catalog's.
    public var images: [String: ImageDeclaration] = [:]
    /// Groups in the order of the file.
    public var groups: [GuestGroup]
    /// Networks in the order of the file.
    public var networks: [NetworkSpec] = []
    /// Tasks in the order of the file.
    public var tasks: [LabTask]
    /// What the guests that run at once may come to.
    public var admission = AdmissionMode.strict
    /// How long things may take.
    public var timeouts = Timeouts()
    /// The default `fail-on` of tasks.
    public var failOn = TroubleKind.grave
    /// The default limit of a task's kept output; output beyond it is dropped, and that is reported.
    public var outputLimit = ByteCount.mebibytes(64)

    /// Every guest of every group, in order.
    public var guests: [Guest] { groups.flatMap(\.guests) }
}

extension Lab {
    /// A lab that is in no file, with defaults for everything else.
    public init(
        _ name: String, source: SourceFile = SourceFile(path: "", text: ""), groups: [GuestGroup], tasks: [LabTask]
    ) {
        self.init(name: name, source: source, directory: "/", groups: groups, tasks: tasks)
    }
}

/// What the guests that run at once may come to.
public enum AdmissionMode: String, Sendable, Hashable, CaseIterable {
    /// The sum of the memory that they were promised: each may use all of its own at any time.
    case strict
    /// The sum of what they are measured to use. More of them run; when the host's memory runs short, some make room.
    case overcommit
}

/// One combination of the matrix's axes.
public struct MatrixCell: Sendable, Hashable {
    /// Axis and value in the order of the file.
    public var values: [(axis: String, value: String)]
    /// Axes whose value is text even where it looks like a number: it is written in quotes.
    public var quoted: Set<String> = []

    /// The stable id, such as `kernel=6.1,fs=ext4`.
    public var id: String { values.map { "\($0.axis)=\($0.value)" }.joined(separator: ",") }

    /// Two cells are the same when their ids are.
    public static func == (left: MatrixCell, right: MatrixCell) -> Bool { left.id == right.id }

    /// Hashes the id.
    public func hash(into hasher: inout Hasher) { hasher.combine(id) }
}

/// Deadlines, which nest: lab > boot > task > command.
public struct Timeouts: Sendable, Hashable {
    /// From power-on to the ready point of one guest.
    public var boot: Duration
    /// One attempt of one task, unless the task has its own.
    public var task: Duration
    /// A running task that prints nothing for this long has hung; nil means no watchdog.
    public var silence: Duration?
    /// The whole run; nil means no limit.
    public var lab: Duration?
    /// How long a run that is interrupted, or whose time is up, may take to clean up and to collect files.
    public var grace: Duration

    /// The defaults: boot 3 minutes, task 10 minutes, no silence watchdog, no limit for the lab, grace 30 seconds.
    public init(
        boot: Duration = .seconds(180), task: Duration = .seconds(600), silence: Duration? = nil,
        lab: Duration? = nil, grace: Duration = .seconds(30)
    ) {
        self.boot = boot
        self.task = task
        self.silence = silence
        self.lab = lab
        self.grace = grace
    }
}

/// A named isolated layer-2 segment between guests.
public struct NetworkSpec: Sendable, Hashable {
    /// The name that guests join by.
    public var name: String
    /// Whether the segment reaches the outside through the host.
    public var nat: Bool
    /// The TCP and UDP ports of the host's own 127.0.0.1 that its guests reach, at the router's address.
    public var host: Set<UInt16>
    /// Where it is declared.
    public var span: SourceSpan?

    /// A network as given.
    public init(name: String, nat: Bool = false, host: Set<UInt16> = [], span: SourceSpan? = nil) {
        self.name = name
        self.nat = nat
        self.host = host
        self.span = span
    }
}
