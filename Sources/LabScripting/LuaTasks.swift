import GuestControl
import Diagnostics
import HostSystem
import LabRunner
import LabResults
import LabSpec
import LuaRuntime
import Quantities

/// Runs the `lua:` tasks of a lab, and the predicates of `expect: {lua: …}`.
public struct LuaTasks: TaskScripting {
    private let results: RunDirectory
    private let isTrusted: Bool
    private let catalog: Set<String>
    private let variables: [String: String]

    /// Scripts of a lab whose results go there.
    public init(results: RunDirectory, isTrusted: Bool, catalog: Set<String>, variables: [String: String]) {
        self.results = results
        self.isTrusted = isTrusted
        self.catalog = catalog
        self.variables = variables
    }

    /// Makes `lab.guests`: a guest is waited for when it is asked for.
    private static let guests = """
        local find = find
        lab.guests = setmetatable({}, {__index = function(self, name)
            local found, guest = pcall(find, name)
            if not found then error(tostring(guest), 2) end
            rawset(self, name, guest)
            return guest
        end})
        _G.find = nil
        """

    /// Runs a task's script; see `TaskScripting`.
    public func run(_ script: LuaSource, in task: ScriptTask) async throws {
        let source = try source(of: script, task)
        let scope = ScriptScope(
            id: task.id, recorder: task.recorder, output: task.output, results: task.results,
            troubles: task.troubles, failOn: task.failOn)
        do {
            try await ScriptScope.$current.withValue(scope) {
                try await withState(for: task, source) { state, world in
                    do {
                        _ = try await state.run(source: Array(source.text.utf8), name: source.path)
                        let late = await world.callPostponed()
                        if let failure = late ?? scope.subtests.failure { throw failure }
                    } catch {
                        await world.callPostponed(until: task.cleanupDeadline)
                        throw error
                    }
                }
            }
        } catch  where Task.isCancelled {
            guard HostClock.now >= task.deadline, let step = scope.activity.latest else {
                throw CancellationError()
            }
            throw Verdict(.timeout, "did not end within \(task.timeout.notation): it was in \(step)")
        } catch {
            var verdict = Verdict(of: error)
            // Whichever guest of its script failed, the task's own is asked for its files.
            verdict.guest = .atPrompt
            throw verdict
        }
    }

    /// Asks a predicate; see `TaskScripting`.
    public func judge(_ predicate: LuaText, exit: Int32, output: [UInt8], errors: [UInt8]?, in task: ScriptTask)
        async throws -> String?
    {
        let source = task.lab.source
        return try await withState(for: task, source) { state, _ in
            try await state.setGlobal("exit", .integer(Int64(exit)))
            try await state.setGlobal("output", .string(LuaString(output)))
            if let errors { try await state.setGlobal("stderr", .string(LuaString(errors))) }
            let chunk = LuaText(LuaPredicate.chunk(predicate.text), line: predicate.line).chunk
            do {
                let answer = try await state.run(chunk, name: source.path)
                return answer.first?.isTrue == true
                    ? nil : "the output is not what `\(predicate.text.split(separator: "\n").first ?? "")` wants"
            } catch {
                if Task.isCancelled { throw CancellationError() }
                throw Verdict(.failed, Verdict(of: error).message)
            }
        }
    }

    /// A task's script under the name that messages call it: lines of inline Lua count as in the lab file.
    private func source(of script: LuaSource, _ task: ScriptTask) throws -> SourceFile {
        switch script {
        case .inline(let lua): return SourceFile(path: task.lab.source.path, text: lua.chunk)
        case .file(let path):
            let bytes = try TextFile.bytes(path, limit: LuaCheck.limit)
            return SourceFile(path: path, text: String(decoding: bytes, as: UTF8.self))
        }
    }

    /// Runs `body` with a state that has the task's globals.
    private func withState<Result>(
        for task: ScriptTask, _ source: SourceFile, _ body: (LuaState, ScriptWorld) async throws -> Result
    ) async throws -> Result {
        let world = ScriptWorld(
            fleet: nil, recorder: task.recorder, results: results, source: source, folder: task.lab.directory,
            isTrusted: isTrusted, access: task.lab.access.adding(results.path),
            environment: task.environment.map { ($0.name, $0.value) })
        let find = LuaNative("guests", waiting: { call in [world.object(try await task.guest(try call.string(1)))] })
        let lab = LuaTable(fields: [
            "name": .text(task.lab.name), "task": .text(task.id.task), "index": .integer(Int64(task.id.index)),
            "env": .texts(task.environment.map { ($0.name, $0.value) }),
            "matrix": .table(task.lab.cell?.table ?? LuaTable()),
        ])
        let print = { @Sendable [output = task.output] (line: LuaString) in output.append(line.bytes + [10]) }
        return try await world.withState(variables: variables, catalog: catalog, print: print) { state in
            try await state.setGlobal("lab", .table(lab))
            try await state.setGlobal("find", .native(find))
            _ = try await state.run(Self.guests)
            try await state.setGlobal("guest", world.object(task.guest))
            return try await body(state, world)
        }
    }
}

extension MatrixCell {
    /// The cell for scripts: numbers and booleans as such, as long as they are written as Lua writes them; `6.10` is no
    /// number, for that would be 6.1.
    fileprivate var table: LuaTable {
        var table = LuaTable()
        for (axis, value) in values { table[axis] = quoted.contains(axis) ? .text(value) : LuaValue(plain: value) }
        return table
    }
}

extension LuaValue {
    /// What a word without quotes means.
    fileprivate init(plain word: String) {
        if let integer = Int64(word), "\(integer)" == word {
            self = .integer(integer)
        } else if let number = Double(word), number.isFinite, "\(number)" == word {
            self = .number(number)
        } else {
            self = word == "true" ? true : word == "false" ? false : .text(word)
        }
    }
}
