import Diagnostics
import GuestConsole
import HostSystem
import LabResults
import LabSpec
import Patterns
import Quantities
import Synchronization

/// A running guest as scripts use it. Any task may call it at any time; operations run one at a time. Each has a deadline, and
/// ends early with a `GuestLoss` when the guest is lost.
public final class LiveGuest: Sendable {
    /// The guest's plan: group, system, memory, backend.
    public let planned: PlannedGuest
    /// The limits of operations.
    public let limits: LiveLimits
    let life: GuestLife
    private let state: Mutex<State>
    let networks: LabNetworks
    /// The run's folder for temporary files.
    let directory: String
    /// By network name.
    private let addresses: [String: String]
    /// The lock for operations; see `exclusive`.
    let turn = AsyncSemaphore()
    /// Fulfilled when the script is done with the guest, with the reason to record.
    package let wantedEnd = Completion<String>()
    /// Fulfilled when the guest's machine is gone. Nil for a script task's guest, which outlives the script.
    package let ended: Completion<Void>?

    private struct State {
        /// The session with the current machine, or with the last one.
        var session: GuestSession
        /// Kernel troubles of earlier sessions that have not been reported.
        var earlierTroubles: [GuestTrouble] = []
        /// The entries of its `/etc/hosts`.
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

    var session: GuestSession { state.withLock { $0.session } }

    /// Why the guest is unusable; nil while it is usable.
    package var loss: GuestLoss? {
        let (state, session) = state.withLock { ($0.guest, $0.session) }
        if case .lost(let loss) = state { return loss }
        return session.loss.current
    }

    var number: Int { life.number }

    // MARK: Its state

    /// Applies a transition; false, without effect, when it is illegal in the current state.
    @discardableResult
    package func move(_ move: GuestState.Move) -> Bool {
        state.withLock { state in
            guard let next = state.guest.after(move) else { return false }
            state.guest = next
            return true
        }
    }

    private var contents: GuestState.Contents? { state.withLock { $0.guest.contents } }

    /// Whether the guest is unused since its ready point.
    package var isFresh: Bool { contents?.isFresh == true }
    var hasLeftCommand: Bool { contents?.hasLeftCommand == true }
    var isClockBehind: Bool { contents?.isClockBehind == true }

    /// Whether it is powered off and can be started again.
    package var isOff: Bool { state.withLock { $0.guest } == .off }

    var isOffProblem: Diagnostic {
        Diagnostic(.specification, "\(name) is powered off", remedy: "`start` boots it again")
    }

    var isIdle: Bool { turn.isFree }

    var knownHosts: HostNames { state.withLock { $0.knownHosts } }

    func knows(_ hosts: HostNames) { state.withLock { $0.knownHosts = hosts } }

    func hasComeUp() { knows(life.hosts) }

    func isNow(_ session: GuestSession) { state.withLock { $0.session = session } }

    /// Its name.
    public var name: String { planned.guest.name }

    /// The last 200 lines of the guest's kernel console, as text.
    public var consoleLines: [String] { session.consoleLines }

    /// Kernel troubles since the last call.
    public func takeTroubles() async -> [GuestTrouble] {
        await keepTroubles()
        return state.withLock { state in
            defer { state.earlierTroubles = [] }
            return state.earlierTroubles
        }
    }

    /// Keeps the current session's kernel troubles before it is replaced.
    func keepTroubles() async {
        let troubles = await session.takeTroubles()
        state.withLock { $0.earlierTroubles += troubles }
    }

    /// Its address on a network that it has joined.
    public func address(on network: String) -> String? { addresses[network] }

    // MARK: Commands

    /// Runs a command. A nonzero exit status is a result, not an error. Throws `GuestTimeout` when it does not end in time, with
    /// the guest back at its prompt if possible; `GuestLoss`; a `ConsoleError` for a command that the shell cannot take;
    /// `CancellationError`.
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

    /// Waits for the pattern on the kernel console, after the previous match or since the guest came up. Throws `GuestTimeout`,
    /// `GuestLoss`, `CancellationError`.
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
