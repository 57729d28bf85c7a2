import ArgumentParser
import Diagnostics
import LabSpec

/// Options of every verb that reads lab files.
struct LabOptions: ParsableArguments {
    @Argument(help: "Lab files, and scripts in Lua.", completion: .file(extensions: ["yaml", "yml", "lua"]))
    var files: [String]

    /// Files that are scripts, by their ending.
    var scripts: [String] { files.filter(Self.isScript) }

    /// Whether a file is a script.
    static func isScript(_ file: String) -> Bool { file.hasSuffix(".lua") }

    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp("Override a value of the lab, such as guests.lin.count=2.", valueName: "key=value"))
    var settings: [String] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Run only tasks whose names match this pattern (* and ?), and what they need.", valueName: "pattern"))
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

/// Options about where guests run.
struct HostOptions: ParsableArguments {
    @Option(help: "Run every guest on this backend: auto, kvm or qemu.")
    var backend: BackendChoice?

    @Option(help: ArgumentHelp("Memory that all guests together may take, such as 8GiB.", valueName: "size"))
    var memory: ByteCount?

    @Option(help: ArgumentHelp("How many guests may run at a time; as many as fit by default.", valueName: "n"))
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
