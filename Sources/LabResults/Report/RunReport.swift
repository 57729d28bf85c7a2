/// A whole run as `results.json` holds it, and as every report is made from it.
public struct RunReport: Sendable, Hashable {
    /// The format's version; a reader refuses one that it does not know.
    public var format = 1
    /// `vmlab`'s version.
    public var version = ""
    /// The lab's name.
    public var lab = ""
    /// The matrix cell's id.
    public var cell: String?
    /// The lab file's path.
    public var file = ""
    /// Where it ran.
    public var host = HostDescription(name: "", kernel: "", cores: 0, memory: 0)
    /// When it began, such as `2026-11-22T11:00:00.123Z`.
    public var started = ""
    /// Seconds from the first event to the last one so far.
    public var duration = 0.0
    /// `passed`, `failed`, `invalid`, `infrastructure`, `deadline`, `interrupted`, or `unfinished`.
    public var status = "unfinished"
    /// The command's exit status for this run; nil while it is unfinished.
    public var exitStatus: Int32?
    /// Why it was stopped early.
    public var interrupted: String?
    /// How many task runs had each outcome; none is left out for being zero.
    public var counts: [String: Int] = [:]
    /// How the guests shared the host's memory; nil until the run's end.
    public var admission: AdmissionSummary?
    /// Guests in the lab's order.
    public var guests: [GuestReport] = []
    /// Task runs in the lab's order, whatever order they ended in. Of the output of one that passed only 1 KiB is here.
    public var tasks: [TaskResult] = []
    /// Warnings that belong to no guest or task.
    public var warnings: [String] = []

    /// An empty report.
    public init() {}
}

/// One guest of a run report: its description and its outcome.
public struct GuestReport: Sendable, Hashable {
    /// What it was, with the backend that ran it.
    public var guest: GuestDescription
    /// How it came up last; nil if it never began to boot.
    public var boot: BootKind?
    /// Seconds until it answered.
    public var bootSeconds: Double?
    /// How it ended: `orderly`, `unexpected` or `failed`; nil while it runs or if it never booted.
    public var end: String?
    /// Why it ended.
    public var reason: String?
    /// Why it could not be used.
    public var outcome: Outcome?
    /// Its last console lines, when it could not be used.
    public var consoleTail: [String] = []
    /// Its console's file, relative to the results directory; nil if it never booted.
    public var console: String?
    /// How often it was lost and a fresh one took its place; nil if it never was.
    public var replacements: Int?
}
