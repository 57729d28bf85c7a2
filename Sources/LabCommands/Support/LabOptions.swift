import ArgumentParser
import HostSystem
import LabSpec
import Quantities

/// Options of every verb that reads lab files.
struct LabOptions: ParsableArguments {
    @Argument(help: "Lab files and Lua scripts.", completion: .file(extensions: ["yaml", "yml", "lua"]))
    var files: [String]

    /// Files that are scripts, by their ending.
    var scripts: [String] { files.filter(Self.isScript) }

    static func isScript(_ file: String) -> Bool { file.hasSuffix(".lua") }

    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp("Override a value of the lab, such as guests.lin.count=2.", valueName: "key=value"))
    var settings: [String] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Run only tasks whose names match this pattern (* and ?), and the tasks that they need.",
            valueName: "pattern"))
    var filter: [String] = []

    /// `--set` as keys and values.
    func parsedSettings() throws -> [(key: String, value: String)] {
        try settings.map { setting in
            guard let equals = setting.firstIndex(of: "=") else {
                throw ValidationError("--set \(setting): expected key=value")
            }
            return (key: String(setting[..<equals]), value: String(setting[setting.index(after: equals)...]))
        }
    }
}

/// What labs and scripts may see of the host, besides what lies at or below their own folders: see Docs/security.md.
struct GrantOptions: ParsableArguments {
    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Let labs and scripts read this file or folder, besides their own folders.", valueName: "path"))
    var allow: [String] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Let scripts see this environment variable, in vmlab.env.", valueName: "name"))
    var env: [String] = []

    @Flag(help: "Let labs and scripts read all files, and Lua use its whole library: files, programs, the environment.")
    var trust = false

    func validate() throws {
        for path in allow where FilePath.real(path) == nil {
            throw ValidationError("--allow \(path): \(SystemCallError("realpath").reason)")
        }
        if let name = env.first(where: { $0.isEmpty || $0.contains("=") }) {
            throw ValidationError("--env \(name): expected the name of a variable, without a value")
        }
    }

    /// The files that are open besides a lab's own.
    var access: HostAccess { trust ? .everything : HostAccess(to: allow) }

    /// The variables that scripts see.
    var variables: [String: String] { trust ? Environment.all : Environment.all.filter { env.contains($0.key) } }
}

/// Options about where guests run.
struct HostOptions: ParsableArguments {
    @Option(help: "Run all guests on this backend.")
    var backend: BackendChoice?

    @Option(help: ArgumentHelp("Limit the memory of all guests together, such as to 8GiB.", valueName: "size"))
    var memory: ByteCount?

    @Option(help: ArgumentHelp("Limit how many guests run at a time; by default as many as fit.", valueName: "n"))
    var jobs: Int?

    func validate() throws {
        if let jobs, jobs < 1 { throw ValidationError("--jobs must be at least 1") }
    }
}

extension BackendChoice: ExpressibleByArgument {}

extension ByteCount: ExpressibleByArgument {
    /// Reads the lab file's notation; nil for anything else.
    public init?(argument: String) {
        self.init(parsing: argument)
    }
}
