import Diagnostics
import GuestConsole
import HostSystem
import GuestControl
import LabSpec
import Quantities
import Synchronization

/// Makes `NotebookMachine`s, which can be saved and restored, and counts them.
public final class NotebookBackend: MachineBackend {
    /// One start of a machine.
    public struct Start: Sendable, Hashable {
        /// What becomes of a machine.
        public enum Kind: Sendable, Hashable {
            /// It boots, and is to be saved for clones.
            case golden
            /// It boots.
            case cold
            /// It goes on from a saved one.
            case restored
        }

        /// The guest.
        public var guest: String
        /// How it starts.
        public var kind: Kind
        /// How many of this guest there were before, of all kinds, and this one.
        public var number: Int

        /// A start as given.
        public init(guest: String, kind: Kind, number: Int) {
            (self.guest, self.kind, self.number) = (guest, kind, number)
        }
    }

    /// What becomes of one start.
    public enum Behaviour: Sendable {
        /// It greets at once, or goes on.
        case comesUp
        /// It does so once this is fulfilled.
        case comesUpAfter(Completion<Void>)
        /// It greets, also where it should go on: its guest has begun anew.
        case beginsAnew
        /// It never says anything.
        case staysSilent
        /// It ends before it says anything.
        case dies
        /// The machine cannot be started.
        case fails(Diagnostic)
    }

    /// What becomes of an attempt to save a machine.
    public enum Saving: Sendable {
        /// It is saved.
        case works
        /// It ends so.
        case fails(Diagnostic)
        /// It ends only when it is cancelled.
        case takesForever
    }

    private struct State {
        var live = 0
        var starts: [Start] = []
        var machines: [String: NotebookMachine] = [:]
    }

    /// `notebook`.
    public let name = "notebook"
    private let fingerprint: String?
    private let plan: @Sendable (Start) -> Behaviour
    private let saving: @Sendable (String) -> Saving
    private let state = Mutex(State())

    /// A backend whose machines have a fingerprint, or cannot be saved where it is nil. `plan` says what becomes of each
    /// start, `saving` of the attempts to save a guest.
    public init(
        fingerprint: String? = "paper", plan: @escaping @Sendable (Start) -> Behaviour = { _ in .comesUp },
        saving: @escaping @Sendable (_ guest: String) -> Saving = { _ in .works }
    ) {
        self.fingerprint = fingerprint
        self.saving = saving
        self.plan = plan
    }

    /// Machines that have been started and not ended.
    public var live: Int { state.withLock { $0.live } }

    /// Every start, in order.
    public var starts: [Start] { state.withLock { $0.starts } }

    /// How many starts there were of this kind.
    public func count(_ kind: Start.Kind) -> Int { starts.count { $0.kind == kind } }

    /// The latest machine of a guest; nil when it had none.
    public func machine(_ guest: String) -> NotebookMachine? { state.withLock { $0.machines[guest] } }

    /// Nothing.
    public func overhead(memory: ByteCount, cpus: Int) -> ByteCount { ByteCount(0) }

    /// As given.
    public func fingerprint(of configuration: MachineConfiguration) -> String? { fingerprint }

    /// Starts a machine, or fails as planned.
    public func start(_ configuration: MachineConfiguration) async throws -> any Machine {
        try Task.checkCancellation()
        let kind: Start.Kind =
            configuration.restoring != nil ? .restored : configuration.goldenFolder != nil ? .golden : .cold
        let start = state.withLock { state in
            let before = state.starts.count { $0.guest == configuration.name }
            let start = Start(guest: configuration.name, kind: kind, number: before + 1)
            state.starts.append(start)
            return start
        }
        let behaviour = plan(start)
        if case .fails(let problem) = behaviour { throw problem }
        let machine = try NotebookMachine(configuration, saving: saving) { [self] in
            state.withLock { $0.live -= 1 }
        }
        state.withLock { state in
            state.live += 1
            state.machines[configuration.name] = machine
        }
        if case .staysSilent = behaviour {} else { machine.kernel.say("[    0.000000] Linux version notebook\n") }
        switch behaviour {
        case .comesUp: machine.comeUp()
        case .comesUpAfter(let moment):
            // Ends with the test, which fulfils it.
            Task {
                _ = try? await moment.wait()
                machine.comeUp()
            }
        case .beginsAnew: machine.comeUp(anew: true)
        case .dies: machine.die()
        case .staysSilent, .fails: break
        }
        return machine
    }
}
