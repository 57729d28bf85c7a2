import Foundation
import Glibc
import HostSystem
import LabTestSupport
import Testing

/// The built `vmlab` in a folder of its own: lab files, results, run state and temporary files all lie in there, only the
/// image cache is the user's.
struct VMLab: Sendable {
    /// The folder, the working directory of every command.
    let path: String

    /// The executable, which lies beside the test bundle; nil when it is not built.
    static let executable: String? = {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { return nil }
        let folder = String(decoding: buffer[..<count], as: UTF8.self).split(separator: "/").dropLast()
        return Tool.find("/" + folder.joined(separator: "/") + "/vmlab")
    }()

    /// The repository.
    static let root = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")

    /// How long a command of these tests may take on a loaded host before it is killed: far more than it ever needs.
    static let patience = Duration.seconds(300)

    /// Calls `body` with a new folder. Whatever the commands left behind afterwards is an issue.
    static func with<Result>(_ body: (VMLab) async throws -> Result) async throws -> Result {
        try await withTemporaryFolder { path in
            let vmlab = VMLab(path: path)
            for folder in ["state", "tmp", "runtime"] { try FileTree.makeFolder("\(path)/\(folder)", mode: 0o700) }
            defer {
                let left = vmlab.leftovers
                if !left.isEmpty { Issue.record("left behind: \(left)") }
                for process in vmlab.processes { kill(process.id, SIGKILL) }
            }
            return try await body(vmlab)
        }
    }

    /// What the commands run with: nothing of a CI system or a terminal, unless a test says so.
    var environment: [String: String] {
        var words = Environment.all
        for name in ["CI", "NO_COLOR", "TERM", "LC_ALL", "VMLAB_NESTED_TEST"] { words[name] = nil }
        words["LANG"] = "C.UTF-8"
        words["XDG_STATE_HOME"] = "\(path)/state"
        words["XDG_RUNTIME_DIR"] = "\(path)/runtime"
        words["TMPDIR"] = "\(path)/tmp"
        return words
    }

    // MARK: Files

    /// Writes a file into the folder and returns its path.
    @discardableResult
    func write(_ name: String, _ text: String) throws -> String { try write(name, bytes: Array(text.utf8)) }

    /// The same with bytes.
    @discardableResult
    func write(_ name: String, bytes: [UInt8]) throws -> String {
        let file = URL(filePath: "\(path)/\(name)")
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: file)
        return file.path
    }

    /// A file's bytes; throws when it is not there.
    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: "\(path)/\(name)"))) }

    /// A file's text.
    func text(_ name: String) throws -> String { String(decoding: try bytes(name), as: UTF8.self) }

    // MARK: Commands

    /// Runs a command to its end.
    func callAsFunction(
        _ arguments: String..., environment changes: [String: String?] = [:], within time: Duration = patience
    ) async throws -> Ended {
        try await start(arguments, environment: changes).ended(within: time)
    }

    /// Starts `vmlab` with arguments. `wrapper` is a command line that is given the one of vmlab as its last words; its standard
    /// output and error are what a `RunningCommand` tells of, unless they go elsewhere.
    func start(
        _ arguments: [String], environment changes: [String: String?] = [:], wrapper: [String] = [],
        standardInput: ChildConfiguration.Input = .null, standardOutput: ChildConfiguration.Output? = nil,
        standardError: ChildConfiguration.Output? = nil
    ) async throws -> RunningCommand {
        let executable = try #require(Self.executable)
        var words = wrapper + [executable] + arguments
        let program = try #require(Tool.find(words.removeFirst()))
        var variables = environment
        for (variable, value) in changes { variables[variable] = value }
        let name = "\(path)/command-\(UInt32.random(in: 0 ... .max))"
        let child = try await ChildProcess.spawn(
            ChildConfiguration(
                executable: program, arguments: words,
                environment: variables, workingDirectory: path, standardInput: standardInput,
                standardOutput: standardOutput ?? .file(name + ".out"),
                standardError: standardError ?? .file(name + ".err")))
        return RunningCommand(vmlab: self, child: child, files: name, started: .now)
    }
}
