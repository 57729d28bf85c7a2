import Diagnostics
import HostSystem
import LabResults
import LuaRuntime

/// A script of the user's that is a lab of its own.
public struct Script: Sendable {
    /// The path as the user gave it.
    public let path: String
    /// The lab's name: the file's without its ending, or its folder's when that is `lab`.
    public let name: String
    let text: SourceFile
    let bytes: [UInt8]
    /// The folder of the file.
    let folder: String

    /// Files beyond this are no scripts, in bytes.
    private static let limit = 8 << 20

    /// Reads a script and checks that it is Lua. Throws every mistake that can be seen without running it.
    public static func load(_ path: String) async throws(DiagnosticList) -> Script {
        let bytes: [UInt8]
        do throws(SystemCallError) {
            bytes = try SmallFile.bytes(path, limit: limit + 1)
        } catch {
            throw DiagnosticList([error.diagnostic("cannot read the script \(path)")])
        }
        guard bytes.count <= limit, let text = String(validating: bytes, as: UTF8.self) else {
            throw DiagnosticList([
                Diagnostic(.specification, "\(path) is no text in UTF-8 of at most 8 MiB", remedy: "name a Lua script")
            ])
        }
        let script = Script(path: path, text: text, bytes: bytes)
        if let problem = await script.syntaxProblem() { throw DiagnosticList([problem]) }
        return script
    }

    init(path: String, text: String, bytes: [UInt8]) {
        self.path = path
        self.text = SourceFile(path: path, text: text)
        self.bytes = bytes
        name = labName(ofFile: path)
        let slash = path.lastIndex(of: "/").map { path[..<$0] } ?? "."
        folder = slash.isEmpty ? "/" : String(slash)
    }

    private func syntaxProblem() async -> Diagnostic? {
        do {
            let state = try LuaState()
            try await state.setGlobal("script", .string(LuaString(bytes)))
            let results = try await state.run("return load((script:gsub('^#[^\\n]*', '')), '@script')")
            await state.close()
            guard results.first?.isNil ?? true, let message = results.dropFirst().first?.text else { return nil }
            return Diagnostic(of: LuaError(message: message), in: self)
        } catch {
            return Diagnostic(.host, "cannot check the script \(path)", cause: "\(error)")
        }
    }

    /// What the run's first event says.
    public func description(host: HostDescription, version: String) -> RunDescription {
        RunDescription(
            lab: name, cell: nil, file: path, host: host, guests: [], tasks: [TaskID(task: name, guest: nil)],
            version: version)
    }
}

extension Diagnostic {
    /// A mistake in a script, with the line it is in: from a message such as `script:3: unexpected symbol near 'x'`.
    fileprivate init(of error: LuaError, in script: Script) {
        let parts = error.message.split(separator: ":", maxSplits: 2)
        guard parts.count == 3, let line = Int(parts[1]) else {
            self.init(.specification, error.message)
            return
        }
        let lines = script.text.text.split(separator: "\n", omittingEmptySubsequences: false)
        let text = lines.indices.contains(line - 1) ? lines[line - 1].unicodeScalars : "".unicodeScalars[...]
        let indent = text.prefix { $0 == " " || $0 == "\t" }.count
        let span = SourceSpan(
            file: script.text, start: SourcePosition(line: line, column: indent + 1),
            end: SourcePosition(line: line, column: max(text.count, indent + 1) + 1))
        self.init(.specification, parts[2].trimming(" "), at: span)
    }
}

extension Substring {
    fileprivate func trimming(_ character: Character) -> String { String(drop { $0 == character }) }
}
