import Diagnostics
import HostSystem
import QMP

/// The action of a `vmlab-vmm` command line.
enum VMMCommand: Sendable, Hashable {
    case run(VMConfiguration)
    case print(String)

    /// The size limit of a configuration, in bytes.
    static let configurationLimit = 1 << 20

    /// Parses a command line without the program's name, and the configuration it names. Throws all errors at once.
    static func parse(_ arguments: [String]) throws(DiagnosticList) -> VMMCommand {
        let draft = try draft(of: arguments)
        if draft.wantsHelp { return .print(CommandLineOption.helpText) }
        if draft.wantsVersion { return .print("vmlab-vmm \(MonitorVersion.text)") }
        let sources = [
            draft.configurationFile.map { _ in "--config" }, draft.configurationDescriptor.map { _ in "--config-fd" },
        ]
        let said = (sources + [draft.machineOption]).compactMap { $0 }
        guard said.count < 2 else {
            throw list("\(said[0]) and \(said[1]) cannot be combined", remedy: "put the whole machine in one place")
        }
        let configuration = try configuration(of: draft)
        let problems = configuration.problems()
        guard problems.isEmpty else { throw DiagnosticList(problems) }
        return .run(configuration)
    }

    private static func configuration(of draft: CommandLineDraft) throws(DiagnosticList) -> VMConfiguration {
        var bytes: [UInt8]?
        do throws(SystemCallError) {
            if let file = draft.configurationFile {
                bytes = try SmallFile.bytes(file, limit: configurationLimit)
            } else if let number = draft.configurationDescriptor {
                let file = OwnedDescriptor(owning: number)
                bytes = try file.readAll(limit: configurationLimit, "descriptor \(number)")
            }
        } catch {
            throw list("the configuration cannot be read", cause: "\(error)")
        }
        if let bytes { return try VMConfiguration(json: bytes) }
        guard !draft.configuration.kernel.isEmpty else {
            throw list("there is nothing to boot", remedy: "give it --kernel or --config; see --help")
        }
        return draft.configuration
    }

    private static func draft(of arguments: [String]) throws(DiagnosticList) -> CommandLineDraft {
        var draft = CommandLineDraft()
        var problems: [Diagnostic] = []
        var seen: Set<String> = []
        var rest = arguments[...]
        func add(_ message: String, remedy: String? = nil) {
            problems.append(Diagnostic(.specification, message, remedy: remedy))
        }
        while let word = rest.popFirst() {
            let name = word.hasPrefix("--") ? String(word.prefix { $0 != "=" }) : word
            guard let option = CommandLineOption.all.first(where: { $0.name == name }) else {
                let names = CommandLineOption.all.map(\.name)
                add("there is no option \(name.quoted())", remedy: didYouMean(name, names) ?? "--help lists them")
                continue
            }
            if !option.repeats, !seen.insert(name).inserted { add("\(name) is given twice") }
            var value = ""
            if option.value == nil {
                if word != name { add("\(name) takes no value") }
            } else if word != name {
                value = String(word.dropFirst(name.count + 1))
            } else if let next = rest.popFirst() {
                value = next
            } else {
                add("\(name) needs a value", remedy: "\(name) \(option.value ?? "")")
                continue
            }
            do throws(CommandLineProblem) {
                try option.apply(&draft, value)
            } catch {
                add("\(name) \(value.quoted()) \(error.message)", remedy: error.remedy)
            }
        }
        // `--help` ignores other errors.
        if draft.wantsHelp || problems.isEmpty { return draft }
        throw DiagnosticList(problems)
    }

    private static func list(_ message: String, remedy: String? = nil, cause: String? = nil) -> DiagnosticList {
        DiagnosticList([Diagnostic(.specification, message, remedy: remedy, cause: cause)])
    }
}

/// The version of the monitor, which is vmlab's own.
enum MonitorVersion {
    static let numbers = (major: 0, minor: 1, micro: 0)
    static var text: String { "\(numbers.major).\(numbers.minor).\(numbers.micro)" }
}
