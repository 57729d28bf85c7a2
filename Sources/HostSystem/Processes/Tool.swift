import Diagnostics
import Glibc
import Synchronization

/// The result of a host tool.
public struct ToolResult: Sendable {
    /// The program's name as asked for.
    public let name: String
    /// How it ended.
    public let status: ChildStatus
    /// Its standard output; empty when that was redirected.
    public let output: [UInt8]
    /// The last lines of standard error.
    public let errors: [String]

    /// The output as text.
    public var text: String { String(decoding: output, as: UTF8.self) }

    /// This result, if the tool succeeded. Throws a `Diagnostic` with its last lines otherwise.
    @discardableResult
    public func checked(
        _ what: String, category: Diagnostic.Category = .host, remedy: String? = nil
    ) throws -> ToolResult {
        if status.isSuccess { return self }
        // Some outputs show only the cause, so it includes the tool's reason if there is one.
        let reason = errors.last { !$0.allSatisfy(\.isWhitespace) }.map { ": \($0)" } ?? ""
        throw Diagnostic(
            category, what, remedy: remedy, cause: "\(name): \(status)\(reason)", notes: Array(errors.suffix(12)))
    }
}

/// Runs programs of the host: apt-get, tar, qemu-img.
public enum Tool {
    /// The absolute path of a program in PATH; nil when it is not found. A name with a slash is not searched for.
    public static func find(_ name: String, path: String? = Environment["PATH"]) -> String? {
        if name.contains("/") { return isExecutable(name) ? name : nil }
        for folder in (path ?? "/usr/bin:/bin").split(separator: ":") {
            let candidate = "\(folder)/\(name)"
            if candidate.hasPrefix("/") && isExecutable(candidate) { return candidate }
        }
        return nil
    }

    private static func isExecutable(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }

    /// Checks that programs exist, each with its Debian package. Throws one `Diagnostic` that names all missing ones.
    public static func require(_ packages: [String: String], path: String? = Environment["PATH"]) throws {
        let missing = packages.filter { find($0.key, path: path) == nil }
        guard !missing.isEmpty else { return }
        let programs = missing.keys.sorted().joined(separator: ", ")
        let install = Set(missing.values).sorted().joined(separator: " ")
        throw Diagnostic(
            .host,
            missing.count == 1 ? "the program \(programs) is missing" : "these programs are missing: \(programs)",
            remedy: "on Debian: `apt-get install \(install)`")
    }

    /// Runs a program to its end.
    ///
    /// `output` nil collects standard output into the result (at most `outputLimit` bytes, then it is killed).
    /// `onLine` gets each line of both streams as it comes, on the event loop's thread. `package` names the Debian
    /// package in the error when the program is missing. When the task is cancelled the program and its own children
    /// are killed, and `CancellationError` is thrown. The exit status is a result, not an error: see `checked`.
    public static func run(
        _ name: String, _ arguments: [String] = [], package: String? = nil, environment: [String: String]? = nil,
        workingDirectory: String? = nil, standardInput: ChildConfiguration.Input = .null,
        output: ChildConfiguration.Output? = nil, outputLimit: Int = 64 << 20,
        onLine: (@Sendable (String) -> Void)? = nil
    ) async throws -> ToolResult {
        guard let executable = find(name) else {
            try require([name: package ?? name])
            throw Diagnostic(.host, "the program \(name) is missing")
        }
        try Task.checkCancellation()
        let collected = OutputCollector(limit: outputLimit, onLine: onLine)
        let errors = OutputCollector(limit: 64 * 1024, keepsEnd: true, onLine: onLine)
        let configuration = ChildConfiguration(
            executable: executable, arguments: arguments, environment: environment, workingDirectory: workingDirectory,
            standardInput: standardInput, standardOutput: output ?? .receiver { collected.append($0) },
            standardError: .receiver { errors.append($0) })
        let child: ChildProcess
        do throws(SystemCallError) {
            child = try await ChildProcess.spawn(configuration)
        } catch {
            throw error.diagnostic("cannot run \(name)")
        }
        collected.whenFull { child.killGroup() }
        let status = await withTaskCancellationHandler {
            await child.ended()
        } onCancel: {
            child.killGroup()
        }
        // Its children may outlive it in its process group; a cancelled task kills them.
        try Task.checkCancellation()
        collected.flush()
        errors.flush()
        if collected.isFull {
            throw Diagnostic(.host, "\(name) wrote more than \(outputLimit) bytes")
        }
        return ToolResult(name: name, status: status, output: collected.bytes, errors: errors.lines)
    }
}

/// Collects a tool's output stream, all of it or its end, and splits it into lines.
private final class OutputCollector: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var partial: [UInt8] = []
        var isFull = false
        var whenFull: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())
    private let limit: Int
    private let end: ByteRing?
    private let onLine: (@Sendable (String) -> Void)?

    init(limit: Int, keepsEnd: Bool = false, onLine: (@Sendable (String) -> Void)?) {
        self.limit = limit
        self.onLine = onLine
        end = keepsEnd ? ByteRing(limit: limit) : nil
    }

    func append(_ new: [UInt8]) {
        end?.append(new)
        let (full, lines) = state.withLock { state in
            if end == nil {
                state.isFull = state.isFull || state.bytes.count + new.count > limit
                if !state.isFull { state.bytes += new }
            }
            return (state.isFull ? state.whenFull : nil, onLine == nil ? [] : Self.lines(new, &state.partial))
        }
        full?()
        if let onLine { lines.forEach(onLine) }
    }

    /// The lines completed by new bytes; `partial` holds the incomplete last line.
    private static func lines(_ new: [UInt8], _ partial: inout [UInt8]) -> [String] {
        partial += new
        guard let end = partial.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
        defer { partial.removeSubrange(...end) }
        return partial[..<end].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
    }

    /// Delivers an unterminated last line.
    func flush() {
        let rest = state.withLock { $0.partial }
        if !rest.isEmpty { onLine?(String(decoding: rest, as: UTF8.self)) }
    }

    func whenFull(_ body: @escaping @Sendable () -> Void) {
        let already = state.withLock { state in
            state.whenFull = body
            return state.isFull
        }
        if already { body() }
    }

    var isFull: Bool { state.withLock { $0.isFull } }
    var bytes: [UInt8] { state.withLock { $0.bytes } }
    var lines: [String] { end?.lines ?? [] }
}
