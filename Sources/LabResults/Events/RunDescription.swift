/// The run that is about to start.
public struct RunDescription: Sendable, Hashable {
    /// The lab's name.
    public var lab: String
    /// The matrix cell's id, when there is a matrix.
    public var cell: String?
    /// The lab file's path.
    public var file: String
    /// The host: kernel, cores, memory in bytes available to the run.
    public var host: HostDescription
    /// Guests in order.
    public var guests: [GuestDescription]
    /// Every task run in order: what the progress bar counts. `guest` is nil where a free guest takes it.
    public var tasks: [TaskID]
    /// `vmlab`'s version.
    public var version: String

    /// A description as given.
    public init(
        lab: String, cell: String? = nil, file: String, host: HostDescription, guests: [GuestDescription] = [],
        tasks: [TaskID] = [], version: String
    ) {
        self.lab = lab
        self.cell = cell
        self.file = file
        self.host = host
        self.guests = guests
        self.tasks = tasks
        self.version = version
    }
}

/// The host of a run.
public struct HostDescription: Sendable, Hashable {
    /// The host's name.
    public var name: String
    /// Kernel release.
    public var kernel: String
    /// Processors that the run may use.
    public var cores: Int
    /// Memory that the run may use, in bytes.
    public var memory: UInt64

    /// A host as given.
    public init(name: String, kernel: String, cores: Int, memory: UInt64) {
        self.name = name
        self.kernel = kernel
        self.cores = cores
        self.memory = memory
    }
}

/// One guest of a run.
public struct GuestDescription: Sendable, Hashable {
    /// The guest's name.
    public var name: String
    /// Its group.
    public var group: String
    /// Its image.
    public var image: String
    /// `linux` or `windows`.
    public var os: String
    /// RAM in bytes.
    public var memory: UInt64
    /// vCPUs.
    public var cpus: Int
    /// The backend that runs it, such as `qemu-tcg`.
    public var backend: String

    /// A guest as given.
    public init(
        name: String = "", group: String = "", image: String = "", os: String = "", memory: UInt64 = 0, cpus: Int = 0,
        backend: String = ""
    ) {
        self.name = name
        self.group = group
        self.image = image
        self.os = os
        self.memory = memory
        self.cpus = cpus
        self.backend = backend
    }
}

/// How the run ended.
public struct RunSummary: Sendable, Hashable {
    /// The exit status that the command will have for this run.
    public var status: ExitStatus
    /// Seconds from the first event to the last.
    public var duration: Double
    /// How many task runs had each outcome.
    public var counts: [String: Int]

    /// A summary as given.
    public init(status: ExitStatus, duration: Double, counts: [String: Int]) {
        self.status = status
        self.duration = duration
        self.counts = counts
    }
}

/// How a run's guests shared the host's memory.
public struct AdmissionSummary: Sendable, Hashable {
    /// `strict` or `overcommit`.
    public var mode: String
    /// The most guests that had their memory at a time.
    public var peakGuests = 0
    /// The most they were reckoned at together, in bytes.
    public var peakMemory: UInt64 = 0
    /// How often a guest had to wait for room.
    public var heldBack = 0
    /// How often a guest that still had something to do was sent away for others' sake, to come back later.
    public var parked = 0
    /// Why guests waited, each reason once.
    public var reasons: [String] = []

    /// No guest has had to wait yet.
    public init(mode: String) {
        self.mode = mode
    }

    /// Another guest had to wait for this reason.
    public mutating func hold(_ reason: String) {
        heldBack += 1
        if !reasons.contains(reason) { reasons.append(reason) }
    }
}
