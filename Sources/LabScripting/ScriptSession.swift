import Diagnostics
import GuestControl
import HostResources
import LabRunner
import LabResults
import LabSpec
import LuaRuntime
import Synchronization

/// A conversation in Lua with guests: what `vmlab repl` holds. Each input goes on where the last one ended.
public final class ScriptSession: Sendable {
    /// What became of an input.
    public enum Answer: Sendable, Hashable {
        /// Its values, as people read them.
        case values([String])
        /// Why it failed.
        case failure(String)
        /// It is the beginning of something longer.
        case incomplete
    }

    private let current: Mutex<LuaState>
    /// Makes a state that knows the guests.
    private let make: @Sendable () async throws -> LuaState
    private let world: ScriptWorld
    private let scope: ScriptScope

    private var state: LuaState { current.withLock { $0 } }

    private init(
        _ state: LuaState, _ world: ScriptWorld, _ scope: ScriptScope,
        make: @escaping @Sendable () async throws -> LuaState
    ) {
        current = Mutex(state)
        self.make = make
        self.world = world
        self.scope = scope
    }

    /// Boots a lab's guests, if there is a lab, and runs `body` with a session in which they are globals by their names, and
    /// `lab.guests`. All guests are gone when this returns.
    public static func run(
        _ lab: Lab?, resources: ScriptFleet.Resources, options: ScriptRun.Options, recorder: RunRecorder,
        results: RunDirectory, journal: RunJournal, print: @escaping @Sendable (String) -> Void,
        body: @escaping @Sendable (ScriptSession) async throws -> Void
    ) async throws {
        let fleet = ScriptFleet(
            resources: resources, limits: options.limits, recorder: recorder, results: results, journal: journal)
        let folder = lab?.directory ?? "."
        let world = ScriptWorld(
            fleet: fleet, recorder: recorder, results: results, source: SourceFile(path: "input", text: ""),
            folder: folder, isTrusted: options.isTrusted, access: options.access.adding(folder))
        defer { world.forget() }
        let id = TaskID(task: "session", guest: nil)
        let scope = ScriptScope(id: id, recorder: recorder, output: results.outputWriter(id), results: results)
        let make = { @Sendable (guests: [LiveGuest]) in
            let state = try LuaState(isTrusted: options.isTrusted, moduleFolder: folder) { print($0.text) }
            let api = API(
                world: world, arguments: options.arguments, variables: options.variables, catalog: options.catalog)
            try await state.register(api.module)
            if let lab { try await introduce(guests, of: lab, to: state, world) }
            return state
        }
        try await fleet.run {
            let guests = if let lab { try await fleet.boot(lab) } else { [LiveGuest]() }
            let session = ScriptSession(try await make(guests), world, scope) { try await make(guests) }
            do {
                try await body(session)
                _ = await world.callPostponed()
            } catch {
                await session.state.close()
                throw error
            }
            await session.state.close()
        }
    }

    private static func introduce(
        _ guests: [LiveGuest], of lab: Lab, to state: LuaState, _ world: ScriptWorld
    ) async throws {
        var named = world.byGroup(guests)
        for guest in guests { named[guest.name] = world.object(guest) }
        for name in named.names {
            // `lin-1` would be a subtraction.
            let variable = String(name.map { $0.isLetter || $0.isNumber ? $0 : "_" })
            // A guest called `print` is `lab.guests.print`.
            if try await state.global(variable).isNil { try await state.setGlobal(variable, named[name]) }
        }
        try await state.setGlobal("lab", .table(LuaTable(fields: ["name": .text(lab.name), "guests": .table(named)])))
    }

    /// Runs an input: an expression, whose values are the answer, or statements. Never throws; a cancelled task's input fails.
    public func evaluate(_ input: String) async -> Answer {
        do {
            return try await ScriptScope.$current.withValue(scope) {
                let isExpression = Self.problem("return " + input) == nil
                if !isExpression, Self.problem(input)?.hasSuffix("<eof>") == true { return .incomplete }
                let values = try await state.run((isExpression ? "return " : "") + input, name: "input")
                return .values(values.map(\.shown))
            }
        } catch {
            guard state.isUsable else { return await beginAnew() }
            return .failure(Task.isCancelled ? "interrupted" : "\(error)")
        }
    }

    /// Goes on with a new state after an input was stuck in the old one.
    private func beginAnew() async -> Answer {
        // In a task of its own: the input's was cancelled.
        let new = await Task { try await make() }.result
        guard case .success(let state) = new else { return .failure("interrupted; the session has ended") }
        current.withLock { $0 = state }
        return .failure("interrupted within a function that could not be stopped: the session's variables are lost")
    }

    /// What is wrong with an input as it stands; nil for a whole chunk.
    private static func problem(_ text: String) -> String? {
        LuaSyntax.problem(in: Array(text.utf8), name: "input")?.message
    }

    /// How a name that is being typed may go on: whole expressions, sorted.
    public func complete(_ word: String) async -> [String] { await state.complete(expression: word) }

    /// The names of the running guests.
    public var guests: [String] { world.fleet?.guests.map(\.name) ?? [] }
}
