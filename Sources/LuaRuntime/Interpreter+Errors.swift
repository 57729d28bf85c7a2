import CLua
import CLuaShims
import Quantities

/// A Swift error as a value of Lua's.
final class ErrorBox: Sendable {
    let error: any Error
    let location: LuaLocation?

    init(_ error: any Error, at location: LuaLocation?) { (self.error, self.location) = (error, location) }

    /// The fields that a script can read: `message`, `place`, and the error's own.
    var fields: LuaTable {
        let error = self.error as? LuaError
        var table = LuaTable(fields: ["message": .text(error?.message ?? LuaError.words(for: self.error))])
        if let place = error?.location ?? location { table["place"] = .text(place.description) }
        guard let cause = (error?.underlying ?? self.error) as? any LuaReadableError else { return table }
        table.fields.merge(cause.luaFields) { own, _ in own }
        return table
    }
}

extension Interpreter {
    /// Pushes an error for C to raise.
    func raise(_ error: any Error, at location: LuaLocation?, on lua: OpaquePointer?) -> Int32 {
        if let error = error as? LuaCallError {
            pushText((location.map { "\($0): " } ?? "") + error.message, on: lua)
        } else if let value = (error as? LuaError)?.value, value.thread === thread {
            lua_rawgeti(lua, luart_registry(), lua_Integer(value.number))
            passing = error as? LuaError
        } else {
            let box = ErrorBox(error, at: location)
            let fields = box.fields
            do {
                try push([.table(fields)], on: lua)
            } catch {
                // Its own fields are larger than the remaining memory.
                lua_createtable(lua, 0, 2)
                for name in ["message", "place"] {
                    pushText(name, on: lua)
                    pushText(fields[name].text ?? "", on: lua)
                    lua_rawset(lua, -3)
                }
            }
            luart_push_error(lua, Unmanaged.passRetained(box).toOpaque())
        }
        return Int32(LUART_RAISE)
    }

    /// The error that a strand ended with, on top of its coroutine's stack.
    func failure(of strand: Strand, _ status: Int32) -> any Error {
        let frames = frames(of: strand.coroutine, from: 0)
        let place = frames.lazy.compactMap(\.location).first
        switch luart_strand_reason(strand.handle) {
        case Int32(LUART_STOP_CANCELLED): return CancellationError()
        case Int32(LUART_STOP_INSTRUCTIONS):
            let limit = thread.limits.instructions ?? 0
            return LuaError(
                message: "the script ran \(limit) instructions without waiting, which is the limit", location: place,
                traceback: frames)
        default: break
        }
        if status == LUA_ERRMEM { return LuaError(message: memoryMessage, location: place, traceback: frames) }

        if var error = passing, isTop(error.value, strand.coroutine) {
            error.traceback = Array((error.traceback + frames).prefix(LuaError.maximumFrames))
            return error
        }
        let text = description(on: strand.coroutine, strand.handle)
        if text == "not enough memory" { return LuaError(message: memoryMessage, location: place, traceback: frames) }
        let (location, message) = split(text, frames) ?? (place, text)
        var error = LuaError(
            message: message, location: location, traceback: frames, value: reference(strand.coroutine, -1))
        if let box = luart_to_box(strand.coroutine, -1, Int32(LUART_BOX_ERROR)) {
            let cause = Unmanaged<ErrorBox>.fromOpaque(box).takeUnretainedValue().error
            error.underlying = (cause as? LuaError)?.underlying ?? cause
        }
        return error
    }

    /// Whether the value on top of a stack is the one that is kept.
    private func isTop(_ value: LuaReference?, _ lua: OpaquePointer?) -> Bool {
        guard let value, lua_checkstack(lua, 1) != 0 else { return false }
        lua_rawgeti(lua, luart_registry(), lua_Integer(value.number))
        defer { luart_pop(lua, 1) }
        return lua_rawequal(lua, -1, -2) != 0
    }

    /// `tostring` of the value on top of a stack.
    func description(on lua: OpaquePointer?, _ strand: OpaquePointer?) -> String {
        luart_push_description(state, lua, strand)
        defer { luart_pop(state, 1) }
        return string(state, -1)?.text ?? "(error in error handling)"
    }

    private var memoryMessage: String {
        "not enough memory: the script's limit is \(ByteCount(UInt64(thread.limits.memory)))"
    }

    /// Splits `file:line: message`, where Lua shortens long file names.
    private func split(_ text: String, _ frames: [LuaFrame]) -> (LuaLocation, String)? {
        let known = chunkNames.union(frames.compactMap(\.location?.file))
        for (start, _) in text.utf8.enumerated().lazy.filter({ $0.element == UInt8(ascii: ":") }).prefix(8) {
            let colon = text.utf8.index(text.startIndex, offsetBy: start)
            let rest = text.utf8[text.utf8.index(after: colon)...]
            let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            let after = rest[digits.endIndex...]
            guard !digits.isEmpty, after.starts(with: ": ".utf8), let line = Int(String(Substring(digits))) else {
                continue
            }
            let short = String(text[..<colon])
            let file = known.first {
                $0 == short || short.hasPrefix("...") && $0.hasSuffix(String(short.dropFirst(3)))
            }
            guard let file = file ?? (short.hasPrefix("[string \"") ? short : nil) else { continue }
            return (LuaLocation(file: file, line: line), String(Substring(after.dropFirst(2))))
        }
        return nil
    }

    // MARK: - Frames

    /// The calls of a coroutine from `level` on, and of those that resumed it.
    func frames(of lua: OpaquePointer?, from level: Int32) -> [LuaFrame] {
        var frames: [LuaFrame] = []
        var (current, level, resumer) = (lua, level, Int32(0))
        var frame = luart_frame()
        while frames.count < LuaError.maximumFrames, current != nil {
            if luart_get_frame(current, level, &frame) {
                frames.append(LuaFrame(location: location(of: &frame), function: function(of: &frame)))
                level += 1
            } else {
                current = luart_resumer(lua, resumer)
                resumer += 1
                level = 0
            }
        }
        return frames
    }

    private func location(of frame: inout luart_frame) -> LuaLocation? {
        frame.is_lua && frame.line > 0 ? LuaLocation(file: file(of: &frame), line: Int(frame.line)) : nil
    }

    private func function(of frame: inout luart_frame) -> String {
        if frame.is_main { return "main chunk" }
        if let name = frame.name { return "function '\(String(cString: name))'" }
        return frame.is_lua ? "function <\(file(of: &frame)):\(frame.defined)>" : "function ?"
    }

    private func file(of frame: inout luart_frame) -> String {
        guard let source = frame.source, source.pointee == CChar(bitPattern: UInt8(ascii: "@")) else {
            return String(cString: luart_short_source(&frame))
        }
        let bytes = UnsafeRawBufferPointer(start: source, count: frame.source_length)
        return String(decoding: bytes.dropFirst(), as: UTF8.self)
    }
}
