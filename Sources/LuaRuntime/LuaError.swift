import Diagnostics

/// A place in a script.
public struct LuaLocation: Sendable, Hashable, CustomStringConvertible {
    /// The name that the chunk was run under, in full.
    public var file: String
    /// Counted from 1.
    public var line: Int

    /// A place.
    public init(file: String, line: Int) { (self.file, self.line) = (file, line) }

    /// `file:line`
    public var description: String { "\(file):\(line)" }
}

/// One call of a traceback.
public struct LuaFrame: Sendable, Hashable, CustomStringConvertible {
    /// Where it stood; nil within functions that are not written in Lua.
    public var location: LuaLocation?
    /// What was running: `function 'name'`, `main chunk`, or a function by its place.
    public var function: String

    /// A call.
    public init(location: LuaLocation?, function: String) { (self.location, self.function) = (location, function) }

    /// `file:line: in function 'name'`
    public var description: String { "\(location?.description ?? "[native]"): in \(function)" }
}

/// How a script failed.
public struct LuaError: Error, Sendable, CustomStringConvertible {
    /// What went wrong, without the place.
    public var message: String
    /// The place that the error message named, else where the script was.
    public var location: LuaLocation?
    /// The calls at that time, the innermost first; at most ``maximumFrames``.
    public var traceback: [LuaFrame]
    /// The error that a Swift function threw, when it came through the script.
    public var underlying: (any Error)?
    /// The value that the script raised: raised again in its state it is the same value.
    var value: LuaReference?

    /// Frames kept of a traceback, from the inside.
    public static let maximumFrames = 32

    /// An error.
    public init(
        message: String, location: LuaLocation? = nil, traceback: [LuaFrame] = [], underlying: (any Error)? = nil
    ) {
        (self.message, self.location, self.traceback) = (message, location, traceback)
        self.underlying = underlying
    }

    /// `file:line: message`
    public var description: String { (location.map { "\($0): " } ?? "") + message }

    init(message: String, location: LuaLocation?, traceback: [LuaFrame], value: LuaReference?) {
        self.init(message: message, location: location, traceback: traceback)
        self.value = value
    }

    /// The message of any error for a script, or for its reader.
    public static func words(for error: any Error) -> String {
        switch error {
        case let error as LuaError: error.description
        case let error as Diagnostic: error.lineWithRemedy
        case let error as DiagnosticList: error.line
        case is CancellationError: "cancelled"
        default: String(describing: error)
        }
    }
}

/// An error with more data for scripts than its message.
public protocol LuaReadableError: Error {
    /// What scripts read as fields of the error, beside `message` and `place`.
    var luaFields: [LuaString: LuaValue] { get }
}

/// The resource limits of a state.
public struct LuaLimits: Sendable, Hashable {
    /// Bytes of memory for all the script's values.
    public var memory: Int
    /// Instructions of Lua's machine between two waits, of each run and call; nil for no limit. Precise to some thousands.
    public var instructions: Int?
    /// How long a cancelled script may take to end, before its state is given up.
    public var grace: Duration

    /// Limits; by default 256 MiB, two billion instructions (some ten seconds) and two seconds.
    public init(memory: Int = 256 << 20, instructions: Int? = 2_000_000_000, grace: Duration = .seconds(2)) {
        (self.memory, self.instructions, self.grace) = (memory, instructions, grace)
    }
}
