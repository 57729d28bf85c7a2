import HostSystem
import GuestControl
import LuaRuntime
import Patterns

/// What a script can check. Each is a step of its own.
enum CheckFunctions {
    static let all = [equals, differs, matches, contains, raises]

    /// How long a pattern may be looked for.
    private static let patience = Duration.seconds(10)

    private static let message = LuaParameter("message", "string?", "What is checked; begins the failure's message.")

    /// A check as a step, which is called after the message at `place`, else after `subject`.
    private static func check(
        _ call: LuaCall, _ place: Int, subject: String? = nil, _ problem: () async throws -> String?
    ) async throws {
        let about = try call.optional(place, call.string)
        try await ScriptScope.step(call, about ?? subject ?? call[1].shown) { _ in
            guard let problem = try await problem() else { return }
            throw Verdict(.failed, about.map { "\($0): \(problem)" } ?? problem)
        }
    }

    private static let equals = LuaNative(
        "equals", "Checks that two values are equal. Tables are compared by content.",
        parameters: [LuaParameter("actual", "any"), LuaParameter("expected", "any"), message],
        waiting: { call in
            try await check(call, 3) { call[1] == call[2] ? nil : "\(call[1].shown) is not \(call[2].shown)" }
            return []
        })

    private static let differs = LuaNative(
        "differs", "Checks that two values are not equal.",
        parameters: [LuaParameter("actual", "any"), LuaParameter("unwanted", "any"), message],
        waiting: { call in
            try await check(call, 3) { call[1] == call[2] ? "both are \(call[1].shown)" : nil }
            return []
        })

    private static let matches = LuaNative(
        "matches", "Checks that a regular expression matches somewhere in a string.",
        parameters: [LuaParameter("text", "string"), LuaParameter("pattern", "string"), message],
        waiting: { call in
            let text = try call.string(1)
            let pattern = try call.pattern(2)
            try await check(call, 3, subject: pattern.text) {
                let isMet = try await pattern.matches(somewhereIn: text, deadline: HostClock.now + patience)
                return isMet ? nil : "\(call[1].shown) does not match /\(pattern.text)/"
            }
            return []
        })

    private static let contains = LuaNative(
        "contains", "Checks that a string contains another, or that a list contains a value.",
        parameters: [LuaParameter("whole", "string|any[]"), LuaParameter("part", "any"), message],
        waiting: { call in
            let isIn: Bool
            if case .table(let table) = call[1] {
                isIn = table.array.contains(call[2])
            } else {
                isIn = try call.string(1).contains(try call.string(2))
            }
            try await check(call, 3) { isIn ? nil : "\(call[1].shown) does not contain \(call[2].shown)" }
            return []
        })

    private static let raises = LuaNative(
        "raises", "Checks that a function raises an error.",
        parameters: [
            LuaParameter("body", "fun()"),
            LuaParameter("pattern", "string?", "A regular expression that the error's message must match."),
        ],
        results: [LuaParameter("message", "string", "The error's message.")],
        waiting: { call in
            let body = try call.function(1)
            let pattern = call.isMissing(2) ? nil : try call.pattern(2)
            return try await ScriptScope.step(call, pattern?.text ?? "") { _ in
                do {
                    _ = try await body.call()
                } catch  where !Task.isCancelled {
                    let message = Verdict(of: error).message
                    if let pattern, try await !pattern.matches(somewhereIn: message, deadline: HostClock.now + patience)
                    {
                        throw Verdict(.failed, "the error \(message.debugDescription) does not match /\(pattern.text)/")
                    }
                    return [.text(message)]
                }
                throw Verdict(.failed, "no error was raised")
            }
        })
}
