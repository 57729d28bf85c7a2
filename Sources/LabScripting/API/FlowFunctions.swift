import Diagnostics
import HostSystem
import LabEngine
import LabResults
import LabSpec
import LuaRuntime

/// How a script goes on: side by side, again, later, in parts with names.
struct FlowFunctions {
    let world: ScriptWorld

    var all: [LuaNative] { [parallel, each, subtest, retry, postpone, sleep, log, matrix, failOn] }

    private var parallel: LuaNative {
        LuaNative(
            "parallel", "Calls functions side by side and waits for all of them. When one fails the others are ended.",
            parameters: [LuaParameter("...", "fun(): any", "The functions.")],
            results: [LuaParameter("...", "any", "The first result of each.")],
            waiting: { call in
                let functions = try (1...max(call.arguments.count, 1)).map { try call.function($0) }
                return try await sideBySide(functions.map { ($0, []) }, limit: functions.count)
            })
    }

    private var each: LuaNative {
        LuaNative(
            "each", "Calls a function with each value of a list, side by side, and waits for all of them.",
            parameters: [
                LuaParameter("list", "any[]", "The values."),
                LuaParameter("body", "fun(value: any, index: integer): any", "What is done with each."),
                LuaParameter("options", "table?", "Options: `limit`, how many at a time."),
            ],
            results: [LuaParameter("results", "any[]", "The first result for each value.")],
            waiting: { call in
                let values = try call.table(1).array
                let body = try call.function(2)
                var options = try Options(call, 3)
                let limit = try options.integer("limit", 1...1_000_000) ?? .max
                try options.finish()
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
            "subtest", "A part of the script with a result of its own.",
            parameters: [
                LuaParameter("name", "string", "What the results call it."),
                LuaParameter("body", "fun()", "Its steps. An error fails it, and the script too."),
                LuaParameter(
                    "options", "table?", "Options: `keep_going`, whether the script goes on when it fails."),
            ],
            results: [LuaParameter("passed", "boolean")],
            waiting: { call in
                let name = try call.string(1)
                let body = try call.function(2)
                var options = try Options(call, 3)
                let keepsGoing = try options.boolean("keep_going") ?? false
                try options.finish()
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
        // At the top of a script of its own the script's name says nothing new.
        let isTop = world.fleet != nil && parent.parent == nil
        let id = TaskID(task: isTop ? name : "\(parent.id.task) / \(name)", guest: parent.id.guest)
        let scope = ScriptScope(
            id: id, recorder: world.recorder, output: results.outputWriter(id),
            results: results, parent: parent, failOn: parent.failOn.withLock { $0 })
        world.recorder.emit(.taskStarted(id, attempt: 1))
        var result = TaskResult(id: id, outcome: .passed, started: world.recorder.clock.elapsed)
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
            "retry", "Calls a function until it raises no error.",
            parameters: [
                LuaParameter("body", "fun(attempt: integer): any", "What is tried."),
                LuaParameter("options", "table?", "Options: `times` (3), and `delay` between two attempts (1 s)."),
            ],
            results: [LuaParameter("...", "any", "The function's results.")],
            waiting: { call in
                let body = try call.function(1)
                var options = try Options(call, 2)
                let times = try options.integer("times", 1...1_000_000) ?? 3
                let delay = try options.duration("delay") ?? .seconds(1)
                try options.finish()
                for attempt in 1..<max(times, 1) {
                    do {
                        return try await body.call([.integer(Int64(attempt))])
                    } catch  where !Task.isCancelled {
                        world.note("attempt \(attempt) of \(times): \(Verdict(of: error).message); trying again")
                        try await Task.sleep(for: delay)
                    }
                }
                return try await body.call([.integer(Int64(times))])
            })
    }

    private var postpone: LuaNative {
        LuaNative(
            "defer", "Keeps a function for the script's end, however it ends. The last one is called first.",
            parameters: [LuaParameter("body", "fun()", "What is to be done then.")],
            body: { call in
                world.postpone(try call.function(1))
                return []
            })
    }

    private var sleep: LuaNative {
        LuaNative(
            "sleep", "Waits. To wait for something, `guest:wait_until` and `guest:wait_for_console` are better.",
            parameters: [LuaParameter("duration", "string|number", "Such as `\"2s\"`, or a number of seconds.")],
            waiting: { call in
                let duration = try Options.duration(call[1]) { call.badArgument(1, "the duration \($0)") }
                try await Task.sleep(for: duration)
                return []
            })
    }

    private var log: LuaNative {
        LuaNative(
            "log", "Tells something to who watches the run, and to its results.",
            parameters: [LuaParameter("...", "any", "Values, which are told side by side.")],
            body: { call in
                world.note(call.arguments.map { $0.words ?? $0.shown }.joined(separator: " "))
                return []
            })
    }

    private var failOn: LuaNative {
        LuaNative(
            "fail_on",
            "Chooses what a guest's kernel can say on its console that fails the script, or the subtest that it is called in.",
            parameters: [
                LuaParameter(
                    "kinds", "string[]",
                    "As `fail-on` of a lab file: \(TroubleKind.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")). "
                        + "Without this call all but `warning`, `oom` and `kcsan`.")
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
                    throw LuaCallError("a task of a lab says in the lab file what it fails on: `fail-on: [oops]`")
                }
                ScriptScope.current?.failOn.withLock { $0 = Set(kinds) }
                return []
            })
    }

    private var matrix: LuaNative {
        LuaNative(
            "matrix", "All combinations of some axes. With a function, each is a subtest.",
            parameters: [
                LuaParameter(
                    "axes", "table", "Lists of values by name, and `include` and `exclude`, as `matrix:` of a lab file."
                ),
                LuaParameter("body", "fun(cell: table)?", "What is done with each combination."),
                LuaParameter("options", "table?", "Options: `keep_going` (true)."),
            ],
            results: [
                LuaParameter(
                    "cells", "table[]", "The combinations: the values of the axes by name, as they were given.")
            ],
            waiting: { call in
                let axes = try call.table(1)
                let tree = LabTree(call, in: world)
                let cells = try Notation.cells(try tree.value(.table(axes), named: "axes", call))
                let given = Self.values(of: axes)
                let tables = cells.map { cell in
                    LuaTable(
                        fields: Dictionary(
                            cell.values.map { (LuaString($0.axis), given[$0.axis]?[$0.value] ?? .text($0.value)) }
                        ) { $1 })
                }
                if !call.isMissing(2) {
                    let body = try call.function(2)
                    var options = try Options(call, 3)
                    let keepsGoing = try options.boolean("keep_going") ?? true
                    try options.finish()
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
