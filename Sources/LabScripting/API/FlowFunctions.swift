import GuestControl
import HostSystem
import LabResults
import LabSpec
import LuaRuntime

/// Control flow of scripts: concurrency, retries, cleanup, subtests.
struct FlowFunctions {
    let world: ScriptWorld

    var all: [LuaNative] { [parallel, each, subtest, retry, postpone, sleep, log, matrix, failOn] }

    private var parallel: LuaNative {
        LuaNative(
            "parallel",
            "Calls functions concurrently and waits for all of them. When one raises an error, the others are ended.",
            parameters: [LuaParameter("...", "fun(): any", "The functions.")],
            results: [LuaParameter("...", "any", "The first result of each function, in order.")],
            waiting: { call in
                let functions = try (1...max(call.arguments.count, 1)).map { try call.function($0) }
                return try await sideBySide(functions.map { ($0, []) }, limit: functions.count)
            })
    }

    private var each: LuaNative {
        LuaNative(
            "each", "Calls a function for each value of a list, concurrently, and waits for all calls.",
            parameters: [
                LuaParameter("list", "any[]", "The values."),
                LuaParameter("body", "fun(value: any, index: integer): any", "The function."),
                LuaParameter("options", "table?", "`limit`, how many calls at a time (all)."),
            ],
            results: [LuaParameter("results", "any[]", "The first result of each call, in the order of the list.")],
            waiting: { call in
                let values = try call.table(1).array
                let body = try call.function(2)
                let limit = try call.options(3) { try $0.integer("limit", 1...1_000_000) ?? .max }
                let calls = values.enumerated().map { (body, [$0.element, .integer(Int64($0.offset + 1))]) }
                return [.table(LuaTable(array: try await sideBySide(calls, limit: limit)))]
            })
    }

    /// The first result of each call. The first error ends the others and is thrown when they have ended.
    private func sideBySide(_ calls: [(LuaFunction, [LuaValue])], limit: Int) async throws -> [LuaValue] {
        guard let strands = world.fleet?.strands else { return try await run(calls, limit: limit) { try await $0() } }
        return try await strands.replacing {
            try await run(calls, limit: limit) { call in try await strands.beside(call) }
        }
    }

    private func run(
        _ calls: [(LuaFunction, [LuaValue])], limit: Int,
        as strand: @escaping @Sendable (() async throws -> LuaValue) async throws -> LuaValue
    ) async throws -> [LuaValue] {
        try await withThrowingTaskGroup(of: (Int, LuaValue).self) { group in
            var results = [LuaValue](repeating: .nil, count: calls.count)
            var next = 0
            func start() {
                let (place, (function, arguments)) = (next, calls[next])
                next += 1
                group.addTask { (place, try await strand { try await function.call(arguments).first ?? .nil }) }
            }
            while next < min(limit, calls.count) { start() }
            while let (place, result) = try await group.next() {
                results[place] = result
                if next < calls.count { start() }
            }
            return results
        }
    }

    private var subtest: LuaNative {
        LuaNative(
            "subtest", "Runs a part of the script that has a result of its own in the reports.",
            parameters: [
                LuaParameter("name", "string", "Its name in the results."),
                LuaParameter("body", "fun()", "Its steps. An error in them fails the subtest and the script."),
                LuaParameter(
                    "options", "table?", "`keep_going` (false), whether the script continues after a failure."),
            ],
            results: [LuaParameter("passed", "boolean", "Whether it passed.")],
            waiting: { call in
                let name = try call.string(1)
                let body = try call.function(2)
                let keepsGoing = try call.options(3) { try $0.boolean("keep_going") ?? false }
                return [.boolean(try await run(subtest: name, body, keepsGoing))]
            })
    }

    private func run(
        subtest name: String, _ body: LuaFunction, _ keepsGoing: Bool, _ arguments: [LuaValue] = []
    ) async throws -> Bool {
        guard let parent = ScriptScope.current, let results = world.results else {
            _ = try await body.call(arguments)
            return true
        }
        // At the top level of a script, its name would be redundant.
        let isTop = world.fleet != nil && parent.parent == nil
        let id = TaskID(task: isTop ? name : "\(parent.id.task) / \(name)", guest: parent.id.guest)
        let scope = ScriptScope(
            id: id, recorder: world.recorder, output: results.outputWriter(id),
            results: results, parent: parent, failOn: parent.failOn.withLock { $0 })
        world.recorder.emit(.taskStarted(id, attempt: 1))
        var result = TaskResult(id, .passed, started: world.recorder.clock.elapsed)
        var failure: (any Error)?
        do {
            _ = try await ScriptScope.$current.withValue(scope) { try await body.call(arguments) }
        } catch {
            failure = error
        }
        result.complete(scope, failure, in: results)
        world.recorder.emit(.taskFinished(result))
        world.onSubtest(result)
        parent.subtests.add(result)
        if let failure, !keepsGoing || Task.isCancelled { throw failure }
        return result.outcome.isSuccess
    }

    private var retry: LuaNative {
        LuaNative(
            "retry", "Calls a function until it raises no error. The error of the last attempt is raised.",
            parameters: [
                LuaParameter(
                    "body", "fun(attempt: integer): any", "The function; it gets the number of the attempt, from 1."),
                LuaParameter(
                    "options", "table?",
                    "`times`, how many attempts at most (3); `delay`, the pause between two (1 s)."),
            ],
            results: [LuaParameter("...", "any", "The function's results.")],
            waiting: { call in
                let body = try call.function(1)
                let (times, delay) = try call.options(2) {
                    (try $0.integer("times", 1...1_000_000) ?? 3, try $0.duration("delay") ?? .seconds(1))
                }
                for attempt in 1..<max(times, 1) {
                    do {
                        return try await body.call([.integer(Int64(attempt))])
                    } catch  where !Task.isCancelled {
                        world.note("attempt \(attempt) of \(times): \(Verdict(of: error).message); trying again")
                        try await HostClock.sleep(for: delay)
                    }
                }
                return try await body.call([.integer(Int64(times))])
            })
    }

    private var postpone: LuaNative {
        LuaNative(
            "defer",
            "Registers a function to call when the script ends, however it ends. The last one registered is called first.",
            parameters: [LuaParameter("body", "fun()", "The function.")],
            body: { call in
                world.postpone(try call.function(1))
                return []
            })
    }

    private var sleep: LuaNative {
        LuaNative(
            "sleep", "Pauses the script. To wait for a condition use `guest:wait_until` or `guest:wait_for_console`.",
            parameters: [LuaParameter("duration", "string|number", "Such as `\"2s\"`, or a number of seconds.")],
            waiting: { call in
                let duration = try Options.duration(call[1]) { call.badArgument(1, "the duration \($0)") }
                try await HostClock.sleep(for: duration)
                return []
            })
    }

    private var log: LuaNative {
        LuaNative(
            "log", "Prints a message in the run's output and records it in the results.",
            parameters: [LuaParameter("...", "any", "Values, separated by spaces in the message.")],
            body: { call in
                world.note(call.arguments.map { $0.words ?? $0.shown }.joined(separator: " "))
                return []
            })
    }

    private var failOn: LuaNative {
        LuaNative(
            "fail_on",
            "Chooses which kernel reports on a guest's console fail the script, or the subtest that calls it.",
            parameters: [
                LuaParameter(
                    "kinds", "string[]",
                    "As `fail-on` of a lab file: \(TroubleKind.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")). "
                        + "The default is all but `warning`, `oom` and `kcsan`.")
            ],
            // Not at once: on the state's own thread there is no scope.
            waiting: { call in
                let kinds = try call.table(1).array.map { value in
                    guard let name = value.words, let kind = TroubleKind(rawValue: name) else {
                        throw call.badArgument(1, "there is no kind \(value.shown)")
                    }
                    return kind
                }
                guard world.fleet != nil else {
                    throw LuaCallError("in a lab's task, set `fail-on: [oops]` in the lab file instead")
                }
                ScriptScope.current?.failOn.withLock { $0 = Set(kinds) }
                return []
            })
    }

    private var matrix: LuaNative {
        LuaNative(
            "matrix",
            "Makes all combinations of some axes. With a function, runs it as a subtest for each combination.",
            parameters: [
                LuaParameter(
                    "axes", "table",
                    "Lists of values by name, with `include` and `exclude` as in `matrix:` of a lab file."
                ),
                LuaParameter("body", "fun(cell: table)?", "The function."),
                LuaParameter(
                    "options", "table?",
                    "`keep_going` (true), whether the script continues after a failed subtest."),
            ],
            results: [LuaParameter("cells", "table[]", "The combinations, each a table of values by axis.")],
            waiting: { call in
                let axes = try call.table(1)
                let tree = LabTree(call, in: world)
                let cells = try MatrixCell.cells(of: try tree.value(.table(axes), named: "axes", call))
                let given = Self.values(of: axes)
                let tables = cells.map { cell in
                    LuaTable(
                        fields: Dictionary(
                            cell.values.map { (LuaString($0.axis), given[$0.axis]?[$0.value] ?? .text($0.value)) }
                        ) { $1 })
                }
                if !call.isMissing(2) {
                    let body = try call.function(2)
                    let keepsGoing = try call.options(3) { try $0.boolean("keep_going") ?? true }
                    for (cell, table) in zip(cells, tables) {
                        _ = try await run(subtest: cell.id, body, keepsGoing, [.table(table)])
                    }
                }
                return [.table(LuaTable(array: tables.map { .table($0) }))]
            })
    }

    /// The values of a matrix as the script gave them, by axis and by their words in the lab language.
    private static func values(of axes: LuaTable) -> [String: [String: LuaValue]] {
        var values: [String: [String: LuaValue]] = [:]
        func add(_ value: LuaValue, to axis: String) {
            if let words = value.words { values[axis, default: [:]][words] = value }
        }
        for axis in axes.names where !["include", "exclude"].contains(axis) {
            guard case .table(let list) = axes[axis] else { continue }
            for value in list.array { add(value, to: axis) }
        }
        if case .table(let rows) = axes["include"] {
            for case .table(let row) in rows.array {
                for axis in row.names { add(row[axis], to: axis) }
            }
        }
        return values
    }
}
