import ArgumentParser
import LabResults
import LabScripting
import LabSpec

struct ValidateVerb: LoggingCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Find all mistakes in lab files; boot nothing.",
        discussion: """
            Prints each mistake with its place and a remedy, and reports fleets that can never fit this host.

              vmlab validate lab.yaml
              vmlab validate Labs/*/lab.yaml
            """)

    @OptionGroup var lab: LabOptions
    @OptionGroup var host: HostOptions
    @OptionGroup var grants: GrantOptions
    @OptionGroup var log: LogOptions

    func run() async throws {
        let jobs = try await Planner(host: host, access: grants.access).jobs(lab)
        if !lab.scripts.isEmpty { Output.line("valid: \(lab.scripts.joined(separator: ", "))") }
        let plans = jobs.compactMap(\.plan)
        guard !plans.isEmpty else { return }
        let cells = plans.count == 1 ? "" : " (\(plans.count) labs and matrix cells)"
        let guests = plans.reduce(0) { $0 + $1.guests.count }
        let runs = plans.reduce(0) { $0 + $1.runs.count }
        Output.line("valid: \(counted(guests, "guest")), \(counted(runs, "task run"))\(cells)")
    }
}

struct SchemaVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the JSON Schema of lab files, or the Lua annotations, for editors.",
        discussion: """
            Save the schema and refer to it with `# yaml-language-server: $schema=vmlab.schema.json`; save the \
            annotations as vmlab.lua in a folder of lua-language-server's `workspace.library`.
            """)

    @Flag(help: "Print the annotations of vmlab's Lua functions for lua-language-server.")
    var lua = false

    @Flag(help: "Print the reference of vmlab's Lua functions in Markdown.")
    var luaReference = false

    func run() throws {
        if lua || luaReference {
            Output.text(lua ? APIDocument.annotations() : APIDocument.markdown())
        } else {
            Output.line(LabSchema.json())
        }
    }
}
