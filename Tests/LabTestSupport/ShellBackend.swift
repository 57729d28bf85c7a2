import Diagnostics
import HostSystem
import GuestControl
import Quantities
import Synchronization

/// Makes `ShellMachine`s and counts them.
public final class ShellBackend: MachineBackend {
    /// What becomes of one start of a guest.
    public enum Start: Sendable {
        /// A machine starts and boots so.
        case boots(ShellMachine.Boot)
        /// The machine cannot be started.
        case fails(Diagnostic)

        /// A machine that greets at once.
        public static var normally: Start { .boots(.after(seconds: 0)) }
    }

    /// What the backend has seen.
    public struct Census: Sendable {
        /// Machines that have been started and not ended.
        public var live = 0
        /// The most at a time.
        public var peak = 0
        /// RAM and overhead of the live ones.
        public var memory = ByteCount(0)
        /// The most at a time.
        public var peakMemory = ByteCount(0)
        /// Starts by guest, failed ones included.
        public var starts: [String: Int] = [:]
    }

    private struct State {
        var census = Census()
        var machines: [String: ShellMachine] = [:]
        var waiters: [String: Completion<ShellMachine>] = [:]
    }

    /// `shell`.
    public let name = "shell"
    private let shell: String
    private let overheadPerMachine: ByteCount
    private let plan: @Sendable (_ guest: String, _ start: Int) -> Start
    private let state = Mutex(State())

    /// A backend that runs `shell` in each guest. `plan` says what becomes of a guest's first, second … start.
    public init(
        shell: String = "busybox sh", overhead: ByteCount = ByteCount(0),
        plan: @escaping @Sendable (_ guest: String, _ start: Int) -> Start = { _, _ in .normally }
    ) {
        self.shell = shell
        overheadPerMachine = overhead
        self.plan = plan
    }

    /// What has happened so far.
    public var census: Census { state.withLock { $0.census } }

    /// The machine of a guest, once it has been started; the latest if it was started again.
    public func machine(_ guest: String) async throws -> ShellMachine {
        let (machine, waiter) = state.withLock { state -> (ShellMachine?, Completion<ShellMachine>) in
            if let machine = state.machines[guest] { return (machine, Completion()) }
            let waiter = state.waiters[guest] ?? Completion()
            state.waiters[guest] = waiter
            return (nil, waiter)
        }
        if let machine { return machine }
        return try await waiter.wait()
    }

    /// As given.
    public func overhead(memory: ByteCount, cpus: Int) -> ByteCount { overheadPerMachine }

    /// Starts a shell machine, or fails as planned.
    public func start(_ configuration: MachineConfiguration) async throws -> any Machine {
        let guest = configuration.name
        let number = state.withLock { state in
            state.census.starts[guest, default: 0] += 1
            return state.census.starts[guest, default: 0]
        }
        let boot: ShellMachine.Boot
        switch plan(guest, number) {
        case .fails(let problem): throw problem
        case .boots(let how): boot = how
        }
        let cost = configuration.memory + overheadPerMachine
        let machine = try await ShellMachine(boot: boot, shell: shell, directory: configuration.directory) { [self] in
            state.withLock { state in
                state.census.live -= 1
                state.census.memory = ByteCount(state.census.memory.bytes - cost.bytes)
            }
        }
        let waiter = state.withLock { state in
            state.census.live += 1
            state.census.peak = max(state.census.peak, state.census.live)
            state.census.memory = state.census.memory + cost
            state.census.peakMemory = max(state.census.peakMemory, state.census.memory)
            state.machines[guest] = machine
            return state.waiters.removeValue(forKey: guest)
        }
        waiter?.fulfil(machine)
        return machine
    }
}
