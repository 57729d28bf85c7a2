import Diagnostics
import HostSystem
import LabEngine
import LabResults
import LabSpec
import LuaRuntime

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

    /// Scripts beyond this are none, in bytes.
    private static let limit = 8 << 20

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
        let (name, bytes) = try source(of: script, task)
        let scope = ScriptScope(
            id: task.id, recorder: task.recorder, output: task.output, results: task.results,
            troubles: task.troubles, failOn: task.failOn)
        do {
            try await ScriptScope.$current.withValue(scope) {
                let (state, world) = try await state(for: task, name, bytes)
                defer { world.forget() }
                do {
                    _ = try await state.run(source: bytes, name: name)
                    let late = await world.callPostponed()
                    await state.close()
                    if let failure = late ?? scope.subtests.failure { throw failure }
                } catch {
                    _ = await world.callPostponed()
                    await state.close()
                    throw error
                }
            }
        } catch  where Task.isCancelled {
            throw CancellationError()
        } catch {
            let verdict = Verdict(of: error)
            throw ScriptFailure(
                outcome: verdict.outcome, message: verdict.message, consoleTail: verdict.consoleTail)
        }
    }

    /// Asks a predicate; see `TaskScripting`.
    public func judge(
        _ predicate: String, exit: Int32, output: [UInt8], in task: ScriptTask
    ) async throws -> String? {
        let name = "expect of \(task.id.task)"
        let (state, world) = try await state(for: task, name, Array(predicate.utf8))
        defer { world.forget() }
        try await state.setGlobal("exit", .integer(Int64(exit)))
        try await state.setGlobal("output", .string(LuaString(output)))
        // An expression, or a chunk that returns.
        try await state.setGlobal("predicate", .text(predicate))
        let isExpression = try await state.run("return load('return ' .. predicate) ~= nil").first?.isTrue == true
        do {
            let answer = try await state.run((isExpression ? "return " : "") + predicate, name: name)
            await state.close()
            return answer.first?.isTrue == true
                ? nil : "the output is not what `\(predicate.split(separator: "\n").first ?? "")` wants"
        } catch {
            await state.close()
            if Task.isCancelled { throw CancellationError() }
            throw ScriptFailure(outcome: .failed, message: Verdict(of: error).message)
        }
    }

    private func source(of script: LuaSource, _ task: ScriptTask) throws -> (String, [UInt8]) {
        switch script {
        case .inline(let text): return (task.id.task, Array(text.utf8))
        case .file(let path): return (path, try SmallFile.bytes(path, limit: Self.limit))
        }
    }

    private func state(
        for task: ScriptTask, _ name: String, _ bytes: [UInt8]
    ) async throws -> (LuaState, ScriptWorld) {
        let world = ScriptWorld(
            fleet: nil, recorder: task.recorder, results: results,
            source: SourceFile(path: name, text: String(decoding: bytes, as: UTF8.self)), folder: task.lab.directory,
            isTrusted: isTrusted, environment: task.environment.map { ($0.name, $0.value) })
        let output = task.output
        let state = try LuaState(isTrusted: isTrusted, moduleFolder: task.lab.directory) { line in
            output.append(line.bytes + [10])
        }
        let api = API(world: world, variables: variables, catalog: catalog)
        try await state.register(api.module)
        let find = LuaNative("guests", waiting: { call in [world.object(try await task.guest(try call.string(1)))] })
        func texts(_ values: [(String, String)]) -> LuaValue {
            .table(LuaTable(fields: Dictionary(values.map { (LuaString($0), LuaValue.text($1)) }) { $1 }))
        }
        let lab = LuaTable(fields: [
            "name": .text(task.lab.name), "task": .text(task.id.task), "index": .integer(Int64(task.id.index)),
            "env": texts(task.environment.map { ($0.name, $0.value) }),
            "matrix": texts((task.lab.cell?.values ?? []).map { ($0.axis, $0.value) }),
        ])
        try await state.setGlobal("lab", .table(lab))
        try await state.setGlobal("find", .native(find))
        _ = try await state.run(Self.guests)
        try await state.setGlobal("guest", world.object(task.guest))
        return (state, world)
    }
}
