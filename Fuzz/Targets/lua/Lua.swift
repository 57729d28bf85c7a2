import Dispatch
import FuzzSupport
import LuaRuntime

// A state under arbitrary scripts: whatever they do, they end within their limits, and the state is of use afterwards. The
// first byte chooses how a script is run.

private final class Thing: Sendable {
    static let type = LuaClass(
        "thing",
        methods: [
            LuaNative(
                "wait",
                waiting: { call in
                    await Task.yield()
                    return call.arguments
                }),
            LuaNative("now", body: { $0.arguments }),
        ],
        fields: [LuaField("self", "thing") { .object($0) }],
        metamethods: [LuaNative("__close", waiting: { _ in [] })])
}

private struct Mishap: Error {}

/// Short names, so that mutations find them.
private let functions = [
    LuaNative(
        "w",
        waiting: { call in
            await Task.yield()
            return call.arguments
        }),
    LuaNative("n", body: { $0.arguments }),
    LuaNative("f", waiting: { _ in throw Mishap() }),
    LuaNative("e", body: { _ in throw Mishap() }),
    LuaNative(
        "c",
        waiting: { call in
            guard case .function(let function) = call[1] else { return [] }
            return try await function.call(Array(call.arguments.dropFirst()))
        }),
    LuaNative(
        "s",
        waiting: { _ in
            try await Task.sleep(for: .milliseconds(20))
            return []
        }),
]

private func run(_ source: [UInt8], isCancelled: Bool) async {
    guard
        let state = try? LuaState(
            limits: LuaLimits(memory: 4 << 20, instructions: 100_000), print: { _ in })
    else { return }
    try? await state.register(
        LuaModule("", functions: functions, values: ["t": .object(LuaObject(Thing(), Thing.type))]))
    // Known to run on for as long as one likes, out of reach of the limits.
    _ = try? await state.run(
        "table.move = nil string.find = nil string.match = nil string.gmatch = nil string.gsub = nil")
    let script = Task { try await state.run(source: source, name: "fuzz.lua") }
    // Waits renew the budget, so that a loop around one ends by this alone.
    let deadline = Task {
        if !isCancelled { try await Task.sleep(for: .milliseconds(300)) }
        script.cancel()
    }
    defer { deadline.cancel() }
    do {
        _ = try await script.value
    } catch {
        require(error is LuaError || error is CancellationError, "\(error)")
        require(!"\(error)".contains("cannot be interrupted"), "\(error)")
    }
    do {
        require(try await state.run("return 1") == [1], "the state is of no more use")
    } catch {
        // What it keeps may leave no room.
        require("\(error)".contains("not enough memory"), "\(error)")
    }
    await state.close()
}

/// One script.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    let mode = input.next(UInt8.self)
    let source = input.next(count)
    let done = DispatchSemaphore(value: 0)
    Task {
        await run(source, isCancelled: mode & 1 == 1)
        done.signal()
    }
    done.wait()
    return 0
}
