import CLua
import CLuaShims

/// Checks whether texts are Lua, without running them.
public enum LuaSyntax {
    /// The first error of a chunk and its line; nil when it is Lua. A first line that begins with `#` is skipped.
    public static func problem(in source: [UInt8], name: String) -> LuaError? {
        guard let state = luaL_newstate() else { return LuaError(message: "not enough memory") }
        defer { lua_close(state) }
        let status = Interpreter.withoutFirstComment(source).withUnsafeBytes { bytes in
            // A short name: Lua would cut a long one, and the line is behind it.
            luaL_loadbufferx(state, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, "@", "t")
        }
        guard status != LUA_OK else { return nil }
        var count = 0
        let start = luart_string(state, -1, &count)
        let text = String(
            decoding: UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count), as: UTF8.self)
        // `:3: unexpected symbol near 'x'`
        let parts = text.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let line = Int(parts[1]) else { return LuaError(message: text) }
        return LuaError(message: String(parts[2].drop { $0 == " " }), location: LuaLocation(file: name, line: line))
    }
}
