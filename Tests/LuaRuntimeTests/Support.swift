import Foundation
import LuaRuntime
import Synchronization
import Testing

/// Lines that a script printed.
final class Printed: Sendable {
    private let all = Mutex<[String]>([])
    var lines: [String] { all.withLock { $0 } }
    func add(_ line: LuaString) { all.withLock { $0.append(line.text) } }
}

/// An error of Swift's that passes through scripts.
struct Mishap: Error, Equatable, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// A state with what the tests call: `sleep()` and `echo(…)` wait, `same(…)` and `fail(text)` do not.
func makeState(
    limits: LuaLimits = LuaLimits(), isTrusted: Bool = false, moduleFolder: String? = nil, printed: Printed = Printed()
) async throws -> LuaState {
    let state = try LuaState(
        limits: limits, isTrusted: isTrusted, moduleFolder: moduleFolder, print: { printed.add($0) })
    try await state.register(
        LuaModule(
            "",
            functions: [
                LuaNative(
                    "sleep",
                    waiting: { _ in
                        await Task.yield()
                        return []
                    }),
                LuaNative(
                    "echo",
                    waiting: { call in
                        await Task.yield()
                        return call.arguments
                    }),
                LuaNative(
                    "fail_later",
                    waiting: { call in
                        await Task.yield()
                        throw Mishap(try call.string(1))
                    }),
                LuaNative(
                    "forever",
                    waiting: { _ in
                        try await Task.sleep(for: .seconds(3600))
                        return []
                    }),
                LuaNative("same", body: { $0.arguments }),
                LuaNative("fail", body: { throw Mishap(try $0.string(1)) }),
                LuaNative("put", body: { [.text(try $0.string(1)), .integer(try $0.integer(2))] }),
                LuaNative("here", body: { [.text("\($0.location?.description ?? "nowhere")")] }),
                LuaNative("trace", body: { [.text($0.traceback.map(\.description).joined(separator: "|"))] }),
            ]))
    return state
}

/// Runs a script that must fail, and returns how.
func failure(of source: String, in state: LuaState, name: String = "t.lua") async throws -> LuaError {
    do {
        let values = try await state.run(source, name: name)
        Issue.record("returned \(values)")
        return LuaError(message: "")
    } catch let error as LuaError {
        return error
    }
}

/// How many entries a folder has.
func countEntries(_ folder: String) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: folder).count
}
