import Diagnostics
import GuestConsole
import HostSystem
import LabResults
import LabSpec
import Patterns
import Quantities
import Synchronization

/// A running guest as a script drives it: any task may ask anything of it at any time, and it does one thing after the
/// other. Every operation has a deadline, and ends early with a `GuestLoss` when the guest is lost.
public final class LiveGuest: Sendable {
    /// The guest, its group, its image's system, its memory.
    public let planned: PlannedGuest
    /// How long things may take.
    public let limits: LiveLimits
    let life: GuestLife
    private let state: Mutex<State>
    let networks: LabNetworks
    /// The run's folder for temporary files.
    let directory: String
    /// By the names of the networks that it has joined.
    private let addresses: [String: String]
    /// One operation at a time; see `exclusive`.
    let turn = AsyncSemaphore()
    /// Set when the script is done with the guest, with the reason that is told.
    package let wantedEnd = Completion<String>()
    /// Set when the guest's machine is gone; nil for a guest whose end is not the script's to wait for, as it comes after
    /// the task that the script is.
    package let ended: Completion<Void>?

    private struct State {
        /// The session with its present machine, or with its last one.
        var session: GuestSession
        /// What earlier sessions' kernels said went wrong, of which nobody has been told.
        var earlierTroubles: [GuestTrouble] = []
        /// The names in its `/etc/hosts`.
        var knownHosts: HostNames
        var guest = GuestState.running(.fresh)
    }

    init(_ session: GuestSession, of life: GuestLife, limits: LiveLimits, isOfFleet: Bool) {
        directory = life.fleet.journal.directory
        ended = isOfFleet ? Completion() : nil
        self.life = life
        state = Mutex(State(session: session, knownHosts: life.hosts))
        planned = life.guest
        networks = life.fleet.networks
        self.limits = limits
        addresses = networks.addresses(of: life.number)
    }

    /// The session with its present machine, or with its last one.
    var session: GuestSession { state.withLock { $0.session } }

    /// Why the guest can no longer be used; nil while it can.
    package var loss: GuestLoss? {
        let (state, session) = state.withLock { ($0.guest, $0.session) }
        if case .lost(let loss) = state { return loss }
        return session.loss.current
    }

    var number: Int { life.number }

    // MARK: Its state

    /// Makes a move; false, and nothing happens, where the guest's state does not have it.
    @discardableResult
    package func move(_ move: GuestState.Move) -> Bool {
        state.withLock { state in
            guard let next = state.guest.after(move) else { return false }
            state.guest = next
            return true
        }
    }

    private var contents: GuestState.Contents? { state.withLock { $0.guest.contents } }

    /// Whether the guest is as it was at its ready point.
    package var isFresh: Bool { contents?.isFresh == true }
    var hasLeftCommand: Bool { contents?.hasLeftCommand == true }
    var isClockBehind: Bool { contents?.isClockBehind == true }

    /// Whether it is powered off, so that it can be started again.
    package var isOff: Bool { state.withLock { $0.guest } == .off }

    var isOffProblem: Diagnostic {
        Diagnostic(.specification, "\(name) is powered off", remedy: "`start` boots it again")
    }

    /// Whether nobody has it to himself.
    var isIdle: Bool { turn.isFree }

    var knownHosts: HostNames { state.withLock { $0.knownHosts } }

    /// It has been told of these.
    func knows(_ hosts: HostNames) { state.withLock { $0.knownHosts = hosts } }

    /// It has come to a ready point, with the names that its life has for that.
    func hasComeUp() { knows(life.hosts) }

    /// Its present machine is another one.
    func isNow(_ session: GuestSession) { state.withLock { $0.session = session } }

    /// Its name.
    public var name: String { planned.guest.name }

    /// The last 200 lines of the guest's kernel console, as text.
    public var consoleLines: [String] { session.consoleLines }

    /// What went wrong in the guest's kernel since this was last asked.
    public func takeTroubles() async -> [GuestTrouble] {
        await keepTroubles()
        return state.withLock { state in
            defer { state.earlierTroubles = [] }
            return state.earlierTroubles
        }
    }

    /// Keeps what the present session's kernel has said so far.
    func keepTroubles() async {
        let troubles = await session.takeTroubles()
        state.withLock { $0.earlierTroubles += troubles }
    }

    /// Its address on a network that it has joined.
    public func address(on network: String) -> String? { addresses[network] }

    // MARK: Commands

    /// Runs a command. Another exit status than 0 is a result.
    ///
    /// Throws `GuestTimeout` when it does not end in time, with the guest back at its prompt if it can be brought back;
    /// `GuestLoss`; a `ConsoleError` for a command that no shell can be given; `CancellationError`.
    public func run(
        _ command: GuestCommand, timeout: Duration? = nil, output: @escaping @Sendable (ArraySlice<UInt8>) -> Void
    ) async throws -> CommandResult {
        try await run(command, within: limits.time(timeout), output: output)
    }

    package func run(
        _ command: GuestCommand, of owner: String? = nil, within time: TimeLimit,
        output: @escaping @Sendable (ArraySlice<UInt8>) -> Void
    ) async throws -> CommandResult {
        try await operate(time, "the command", of: owner) { [self] deadline in
            try await session.commands.run(command, deadline: deadline, silence: limits.silence, output: output)
        }
    }

    /// Waits until the pattern has been said on the kernel console, since the guest came up or since the last such wait.
    ///
    /// Throws `GuestTimeout`, `GuestLoss`, `CancellationError`.
    public func waitForConsole(_ pattern: Pattern, timeout: Duration? = nil) async throws -> PatternMatch {
        let patience = timeout ?? limits.timeouts.task
        do {
            return try await session.whileAlive { [session, limits] in
                guard let match = try await session.said.expect(pattern, deadline: limits.deadline(in: patience)) else {
                    throw session.lose("the console ended")
                }
                return match
            }
        } catch is DeadlineExceeded {
            let cut = session.said.dropped
            let note = cut == 0 ? "" : ", of which the first \(ByteCount(UInt64(cut))) are not kept,"
            throw GuestTimeout(
                what: "the console\(note) did not show /\(pattern.text)/", limit: patience * limits.factor)
        }
    }
}
