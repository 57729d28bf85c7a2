import Diagnostics
import HostSystem
import GuestControl
import LabRunner
import LabResults
import LuaRuntime
import Synchronization
import YAMLTree

/// What the functions of a script share.
final class ScriptWorld: Sendable {
    /// Where guests come from; nil in a task of a lab, whose guests are declared.
    let fleet: ScriptFleet?
    let recorder: RunRecorder
    let results: RunDirectory?
    /// The script's text, for messages that show a line of it.
    let source: SourceFile
    /// The folder that relative host paths start from, absolute or as the user gave it.
    let folder: String
    let isTrusted: Bool
    /// What of the host's files the script may name.
    let access: HostAccess
    /// What each command finds in its environment.
    let environment: [(name: String, value: String)]
    /// Runs a lab file and returns its report; nil where that is not possible.
    let runLab: (@Sendable (_ path: String, _ settings: [(key: String, value: String)]) async throws -> RunReport)?
    /// Hears of each subtest's end.
    let onSubtest: @Sendable (TaskResult) -> Void

    private struct State {
        var guests: [ObjectIdentifier: ScriptGuest] = [:]
        var deferred: [LuaFunction] = []
        var images: [String: YAMLNode] = [:]
    }

    private let state = Mutex(State())

    init(
        fleet: ScriptFleet?, recorder: RunRecorder, results: RunDirectory?, source: SourceFile, folder: String,
        isTrusted: Bool = false, access: HostAccess = .everything, environment: [(name: String, value: String)] = [],
        runLab: (@Sendable (String, [(key: String, value: String)]) async throws -> RunReport)? = nil,
        onSubtest: @escaping @Sendable (TaskResult) -> Void = { _ in }
    ) {
        self.fleet = fleet
        self.recorder = recorder
        self.results = results
        self.source = source
        self.folder = folder
        self.isTrusted = isTrusted
        self.access = access
        self.environment = environment
        self.runLab = runLab
        self.onSubtest = onSubtest
    }

    /// The images that the script has declared, by name.
    var images: [(String, YAMLNode)] {
        state.withLock { $0.images.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
    }

    func declare(image name: String, _ declaration: YAMLNode) { state.withLock { $0.images[name] = declaration } }

    /// A guest as a script holds it, the same each time.
    func object(_ live: LiveGuest) -> LuaValue {
        let guest = state.withLock { state in
            if let known = state.guests[ObjectIdentifier(live)] { return known }
            let guest = ScriptGuest(live, self)
            state.guests[ObjectIdentifier(live)] = guest
            return guest
        }
        return .object(LuaObject(guest, .guest))
    }

    /// Guests by the name of their group: one with `count` is a list of them.
    func byGroup(_ guests: [LiveGuest]) -> LuaTable {
        var groups = LuaTable()
        for guest in guests {
            let group = guest.planned.group
            if group.count == nil {
                groups[group.name] = object(guest)
            } else if case .table(var list) = groups[group.name] {
                list.array.append(object(guest))
                groups[group.name] = .table(list)
            } else {
                groups[group.name] = .table(LuaTable(array: [object(guest)]))
            }
        }
        return groups
    }

    func note(_ text: String) {
        recorder.emit(.note(level: .info, message: text))
        ScriptScope.current?.output.append(Array("\(text)\n".utf8))
    }

    /// Keeps a function for the end of the script.
    func postpone(_ function: LuaFunction) { state.withLock { $0.deferred.append(function) } }

    var hasPostponed: Bool { state.withLock { !$0.deferred.isEmpty } }

    /// As `callPostponed`, until the deadline, also in a cancelled task: for a script that was ended.
    func callPostponed(until deadline: ContinuousClock.Instant) async {
        let last = Task { try await withDeadline(deadline) { await self.callPostponed() } }
        _ = await last.result
    }

    /// Calls what was kept, the last first. Returns the first error; the others go on all the same.
    func callPostponed() async -> (any Error)? {
        var first: (any Error)?
        while let function = state.withLock({ $0.deferred.popLast() }) {
            do { _ = try await function.call() } catch { first = first ?? error }
        }
        return first
    }

    /// Lets go of all guests and functions.
    func forget() { state.withLock { $0 = State() } }

    /// Runs `body` with a Lua state of its own that has the API. It is closed afterwards, and all guests and functions are let go.
    func withState<Result>(
        arguments: [String] = [], variables: [String: String], catalog: Set<String>,
        print: @escaping @Sendable (LuaString) -> Void, _ body: (LuaState) async throws -> Result
    ) async throws -> Result {
        defer { forget() }
        let state = try LuaState(isTrusted: isTrusted, moduleFolder: folder, print: print)
        do {
            let api = API(world: self, arguments: arguments, variables: variables, catalog: catalog)
            try await state.register(api.module)
            let result = try await body(state)
            await state.close()
            return result
        } catch {
            await state.close()
            throw error
        }
    }

    /// A host path that the script gives, for reading what lies there. Throws a `Diagnostic` when it is not the script's to read.
    func readablePath(_ path: String, as what: String) throws -> String {
        do throws(HostAccess.Refusal) {
            return try access.real(hostPath(path))
        } catch {
            throw error.diagnostic(what, path)
        }
    }

    private func hostPath(_ path: String) -> String { path.hasPrefix("/") ? path : "\(folder)/\(path)" }

    /// The host folder that collected files go to. Throws a `RelativePath.Refusal` for a path that leaves the results, unless
    /// the script is trusted.
    func collectionFolder(_ path: String) throws -> HostFolder {
        let relative: RelativePath
        do throws(RelativePath.Refusal) {
            relative = try RelativePath(path)
        } catch {
            guard isTrusted, error != .hasNUL else { throw error }
            try FileTree.makeFolder(hostPath(path))
            return try HostFolder(hostPath(path))
        }
        guard let scope = ScriptScope.current else { throw LuaCallError("there is no task to collect files for") }
        return try scope.results.artifacts(scope.id, in: relative)
    }

    /// The fleet, for a function that boots guests.
    func needFleet() throws -> ScriptFleet {
        guard let fleet else {
            throw LuaCallError("the guests of a lab are declared under `guests:`; here they are `lab.guests.NAME`")
        }
        return fleet
    }
}
