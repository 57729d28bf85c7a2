import HostSystem

/// A Lua state on a thread of its own.
///
/// Usable from any thread and by many tasks at once: runs and calls take turns while others wait. The state ends with its last
/// reference, or at ``close()``. A Swift function with a strong reference to the state keeps it forever; ``LuaFunction/call(_:)``
/// needs none.
public final class LuaState: Sendable {
    private let thread: LuaThread

    /// What the state may use.
    public var limits: LuaLimits { thread.limits }

    /// Makes a state.
    ///
    /// - Parameters:
    ///   - limits: what scripts may use.
    ///   - isTrusted: whether scripts have the whole standard library (but for `os.exit`), such as `io` and `os`, instead
    ///     of what can do no harm beyond the state.
    ///   - moduleFolder: the folder whose `.lua` files `require` finds; none when nil.
    ///   - print: takes each line of `print` and each warning, without a newline. It runs on the state's thread.
    /// - Throws: when the host has no thread to give.
    public init(
        limits: LuaLimits = LuaLimits(), isTrusted: Bool = false, moduleFolder: String? = nil,
        print: @escaping @Sendable (LuaString) -> Void = { Swift.print($0.text) }
    ) throws(SystemCallError) {
        thread = LuaThread(limits: limits)
        try thread.start { thread in
            Interpreter(thread, isTrusted: isTrusted, modules: moduleFolder.map(ModuleFolder.init), print: print)
        }
    }

    deinit { thread.close() }

    /// Whether it can be used: a state with a stuck cancelled script is abandoned.
    public var isUsable: Bool { !thread.isAbandoned }

    /// Ends the state and waits for that: finalizers run, references are released. Running and waiting calls end with an error when
    /// they return to the state. An abandoned state is not waited for.
    public func close() async {
        thread.close()
        await thread.ended()
    }

    /// Registers a module for scripts: as a global and for `require`. A repeated name adds functions.
    ///
    /// - Throws: ``LuaError`` when a value cannot be given to Lua, or a name in the path is no table.
    public func register(_ module: LuaModule) async throws {
        try await perform { try $0.register(module) }
    }

    /// Sets a global variable.
    public func setGlobal(_ name: String, _ value: LuaValue) async throws {
        try await perform { try $0.setGlobal(name, value) }
    }

    /// The value of a global variable, read without metamethods.
    public func global(_ name: String) async throws -> LuaValue {
        try await perform { try $0.global(name) }
    }

    /// Runs a chunk, which is source text, and returns its results.
    ///
    /// - Parameters:
    ///   - source: the text; a first line that begins with `#` is skipped.
    ///   - name: what messages call it, best the file's path.
    /// - Throws: ``LuaError`` when it is no Lua, or ends with an error, or goes beyond a limit; `CancellationError` when the
    ///   task is cancelled: then its coroutines are closed, which runs their pending `__close`. A cancelled script that is
    ///   stuck in a function that does not return (`io.read` of a trusted one, say) cannot be stopped: after the grace period
    ///   this throws a ``LuaError`` that says so, and the state is of no more use.
    public func run(source: [UInt8], name: String) async throws -> [LuaValue] {
        try await thread.drive { try $0.load(source, name, on: $1) }
    }

    /// Runs a chunk; see ``run(source:name:)``.
    public func run(_ source: String, name: String = "script") async throws -> [LuaValue] {
        try await run(source: Array(source.utf8), name: name)
    }

    /// Completions of a partly typed name, such as `vmlab.bo` or `guest:r`: the whole expressions, sorted.
    public func complete(expression: String) async -> [String] {
        (try? await perform { $0.complete(expression) }) ?? []
    }

    /// Bytes of memory in use by the state.
    public func memoryInUse() async throws -> Int {
        try await perform { $0.memoryInUse }
    }

    /// Runs something short on the state's thread; no script runs there.
    private func perform<Value: Sendable>(
        _ work: @escaping @Sendable (Interpreter) throws -> Value
    ) async throws -> Value {
        try await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, any Error>, Never>) in
            thread.submit { interpreter in
                continuation.resume(returning: Result { try work(interpreter) })
            } orElse: {
                continuation.resume(returning: .failure(LuaThread.gone))
            }
        }.get()
    }
}

extension LuaFunction {
    /// Calls the function in its state, in its own coroutine. Throws as ``LuaState/run(source:name:)``.
    public func call(_ arguments: [LuaValue] = []) async throws -> [LuaValue] {
        try await thread.drive { try $0.prepare(self, arguments, on: $1) }
    }
}
