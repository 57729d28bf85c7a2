import CLua
import CLuaShims

/// A `lua_State` and Swift's data for it, used only on the state's thread. All code here may be called from C that Lua called, so
/// it uses only parts of liblua that cannot raise: raw accesses, no conversions in place, stack checks first. Allocations are
/// granted while Swift runs (see CLuaShims.h), so sizes are checked before.
final class Interpreter {
    let thread: LuaThread
    let isTrusted: Bool
    let modules: ModuleFolder?
    let print: @Sendable (LuaString) -> Void
    /// The chunk names so far, to recognize places at the start of messages.
    var chunkNames: Set<String> = []
    var strand: Strand?
    /// A script's error that was raised in it again, and may leave it next.
    var passing: LuaError?
    var classes: [LuaClass] = []
    private(set) var state: OpaquePointer?

    init(_ thread: LuaThread, isTrusted: Bool, modules: ModuleFolder?, print: @escaping @Sendable (LuaString) -> Void) {
        self.thread = thread
        self.isTrusted = isTrusted
        self.modules = modules
        self.print = print
        var host = luart_host()
        host.owner = Unmanaged.passUnretained(self).toOpaque()
        Self.fill(&host)
        state = luart_new(&host, thread.limits.memory, isTrusted)
        // Not caused by scripts, whose limit does not apply yet: the host has no memory, and Swift would trap next too.
        if state == nil { fatalError("out of memory") }
    }

    func close() {
        passing = nil
        if let state { luart_close(state) }
        state = nil
    }

    var memoryInUse: Int { luart_used(state) }

    // MARK: - Strands

    /// Creates the strand's coroutine, lets `begin` push a function and its arguments, and runs it.
    func start(_ strand: Strand, _ begin: (Interpreter, Strand) throws -> Int32) -> Step {
        guard !strand.isCancelled else { return .failed(CancellationError()) }
        let coroutine = lua_newthread(state)
        strand.coroutine = coroutine
        strand.anchor = luaL_ref(state, luart_registry())
        luart_strand_begin(strand.handle, coroutine)
        do {
            return go(strand, arguments: try begin(self, strand))
        } catch {
            return end(strand, .failed(error))
        }
    }

    func resume(_ strand: Strand, with outcome: Result<[LuaValue], any Error>) -> Step {
        if strand.isCancelled { return end(strand, .failed(CancellationError())) }
        strand.outcome = outcome
        return go(strand, arguments: 0)
    }

    private func go(_ strand: Strand, arguments: Int32) -> Step {
        var count: Int32 = 0
        self.strand = strand
        let status = luart_strand_resume(strand.handle, arguments, &count)
        self.strand = nil
        switch status {
        case LUA_YIELD:
            // Without a request, it was stopped.
            guard let request = strand.pending else { return end(strand, .failed(failure(of: strand, status))) }
            strand.pending = nil
            return .waits(request)
        case LUA_OK:
            do {
                return end(strand, .finished(try results(of: strand, count)))
            } catch {
                return end(strand, .failed(LuaError(message: error.message)))
            }
        default:
            return end(strand, .failed(failure(of: strand, status)))
        }
    }

    private func results(of strand: Strand, _ count: Int32) throws(LuaCallError) -> [LuaValue] {
        guard let coroutine = strand.coroutine, count > 0 else { return [] }
        var reader = ValueReader(self)
        let top = lua_gettop(coroutine)
        var values: [LuaValue] = []
        for index in (top - count + 1)...top { values.append(try reader.read(coroutine, index)) }
        return values
    }

    /// Closes the strand's coroutines and forgets them.
    private func end(_ strand: Strand, _ step: Step) -> Step {
        self.strand = strand
        luart_strand_close(strand.handle)
        self.strand = nil
        luaL_unref(state, luart_registry(), strand.anchor)
        strand.coroutine = nil
        strand.pending = nil
        strand.outcome = nil
        return step
    }

    // MARK: - What strands begin with

    /// Puts a chunk onto the strand's coroutine.
    func load(_ source: [UInt8], _ name: String, on strand: Strand) throws -> Int32 {
        let coroutine = strand.coroutine
        chunkNames.insert(name)
        let text = Self.withoutFirstComment(source)
        let status = text.withUnsafeBytes { bytes in
            luart_load(coroutine, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, "@" + name)
        }
        guard status == LUA_OK else { throw failure(of: strand, status) }
        return 0
    }

    /// Removes `#!/usr/bin/env vmlab` and the like; the line's end stays for line numbers.
    static func withoutFirstComment(_ source: [UInt8]) -> ArraySlice<UInt8> {
        guard source.first == UInt8(ascii: "#") else { return source[...] }
        return source.drop { $0 != UInt8(ascii: "\n") }
    }

    /// Puts a function and its arguments onto the strand's coroutine.
    func prepare(_ function: LuaFunction, _ arguments: [LuaValue], on strand: Strand) throws -> Int32 {
        guard let coroutine = strand.coroutine else { return 0 }
        lua_rawgeti(coroutine, luart_registry(), lua_Integer(function.reference.number))
        do {
            try push(arguments, on: coroutine)
        } catch {
            throw LuaError(message: error.message)
        }
        return Int32(arguments.count)
    }

    func release(_ reference: Int32) {
        luaL_unref(state, luart_registry(), reference)
    }
}
