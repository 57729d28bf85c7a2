import Diagnostics
import HostSystem
import LabResults

/// A script of the user's that is a lab of its own.
public struct Script: Sendable {
    /// The path as the user gave it.
    public let path: String
    /// The lab's name: the file's without its ending, or its folder's when that is `lab`.
    public let name: String
    let text: SourceFile
    let bytes: [UInt8]
    let folder: String

    /// Reads a script and checks that it is Lua. Throws every mistake that can be seen without running it.
    public static func load(_ path: String) throws(DiagnosticList) -> Script {
        let bytes: [UInt8]
        do throws(Diagnostic) {
            bytes = try TextFile.bytes(path, limit: LuaCheck.limit)
        } catch {
            throw DiagnosticList([error])
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw DiagnosticList([
                Diagnostic(
                    .specification, "\(path.quoted()) is not text in UTF-8",
                    remedy: "save it as UTF-8, if it is a Lua script")
            ])
        }
        let script = Script(path: path, text: text, bytes: bytes)
        if let problem = LuaCheck.problem(in: bytes, path: path) { throw DiagnosticList([problem]) }
        return script
    }

    init(path: String, text: String, bytes: [UInt8]) {
        self.path = path
        self.text = SourceFile(path: path, text: text)
        self.bytes = bytes
        name = labName(ofFile: path)
        folder = FilePath.folder(of: path)
    }

    /// The run's first event.
    public func description(host: HostDescription, version: String) -> RunDescription {
        RunDescription(lab: name, file: path, host: host, tasks: [TaskID(task: name, guest: nil)], version: version)
    }
}
