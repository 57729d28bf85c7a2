import Diagnostics
import LabResults
import LuaRuntime

/// The scripts' functions told to people and to editors, from the same table that registers them.
public enum APIDocument {
    /// The module as it is documented: what its functions do needs no world.
    private static var module: LuaModule {
        let world = ScriptWorld(
            fleet: nil, recorder: RunRecorder(sinks: []), results: nil, source: SourceFile(path: "", text: ""),
            folder: "/")
        return API(world: world, catalog: []).module
    }

    // MARK: Annotations

    /// Annotations for lua-language-server: a file for its `workspace.library`.
    public static func annotations() -> String {
        var lines = ["---@meta vmlab", "", "---\(module.documentation)", "---@class vmlab"]
        lines += API.values.map { "---@field \($0.name) \($0.type) \($0.documentation)" }
        lines += ["local vmlab = {}", ""]
        for function in module.functions { lines += annotations(function, "vmlab.") }
        for type in API.classes {
            lines += ["---\(type.documentation)", "---@class \(type.name)"]
            lines += type.fields.map(\.parameter).map { "---@field \($0.name) \($0.type) \($0.documentation)" }
            lines += ["local \(type.name) = {}", ""]
            for method in type.methods { lines += annotations(method, "\(type.name):") }
        }
        lines += taskGlobals.flatMap { ["---\($0.documentation)", "---@type \($0.type)", "\($0.name) = nil", ""] }
        return (lines + ["return vmlab"]).joined(separator: "\n") + "\n"
    }

    private static func annotations(_ function: LuaNative, _ prefix: String) -> [String] {
        var lines = ["---\(function.documentation)"]
        for parameter in function.parameters {
            // An optional one is marked at its name.
            let isOptional = parameter.type.hasSuffix("?") && parameter.name != "..."
            let type = isOptional ? String(parameter.type.dropLast()) : parameter.type
            lines.append(
                "---@param \(parameter.name)\(isOptional ? "?" : "") \(type) \(oneLine(parameter.documentation))")
        }
        for result in function.results {
            lines.append(
                result.name == "..."
                    ? "---@return \(result.type) ..."
                    : "---@return \(result.type) \(result.name) \(oneLine(result.documentation))")
        }
        let names = function.parameters.map(\.name).joined(separator: ", ")
        return lines.map { $0.hasSuffix(" ") ? String($0.dropLast()) : $0 } + [
            "function \(prefix)\(function.name)(\(names)) end", "",
        ]
    }

    private static func oneLine(_ text: String) -> String { text.split(separator: "\n").joined(separator: " ") }

    /// What a `lua:` task finds beside `vmlab`.
    static let taskGlobals = [
        LuaParameter("guest", "guest", "In a `lua:` task: the guest that it runs on."),
        LuaParameter(
            "lab",
            "{name: string, task: string, index: integer, env: table<string, string>, matrix: table<string, string|number|boolean>, "
                + "guests: table<string, guest>}",
            "In a `lua:` task: the lab, the task, its environment, the cell of the matrix, and the lab's guests by name."
        ),
    ]

    // MARK: For people

    /// The reference in Markdown.
    public static func markdown() -> String {
        var lines = [
            "# vmlab's Lua", "",
            "Made by `vmlab schema --lua-reference`; do not edit. `vmlab schema --lua` prints the same for editors.",
            "",
            "Durations are `\"90s\"`, `\"5m\"`, `\"1h30m\"`, or a number of seconds; sizes `\"512MiB\"`, `\"5GiB\"`. Patterns are "
                + "regular expressions, as in lab files. Options are named in a table at the end: `{timeout = \"30s\"}`.",
            "",
            "## vmlab", "",
        ]
        for value in API.values {
            lines += ["### vmlab.\(value.name)", "", "`\(value.type)` \(value.documentation)", ""]
        }
        for function in module.functions { lines += reference(function, "vmlab.") }
        for type in API.classes {
            lines += ["## \(type.name)", "", type.documentation, ""]
            for field in type.fields.map(\.parameter) {
                lines += ["### \(type.name).\(field.name)", "", "`\(field.type)` \(field.documentation)", ""]
            }
            for method in type.methods { lines += reference(method, "\(type.name):") }
        }
        lines += errors + ["## In a `lua:` task of a lab file", ""]
        for global in taskGlobals { lines += ["- `\(global.name)`: \(global.documentation)"] }
        return lines.joined(separator: "\n") + "\n"
    }

    private static let errors = [
        "## Errors", "",
        "What a function raises is a table that works as its text too: `print(err)`, `\"it: \" .. err`, "
            + "`err:match(\"status (%d+)\")`, `string.find(err, \"…\")`. Errors of a script's own go unchanged through "
            + "`vmlab.parallel`, `vmlab.subtest` and the like. A call with wrong arguments raises a plain string, as Lua's "
            + "own functions do.",
        "", "```lua", "local ok, err = pcall(function() web:succeed(\"make test\") end)",
        "if not ok and err.exit == 2 then print(err.output) end", "```", "",
        "- `err.message`: what went wrong; `err.place`: where in the script, such as `smoke.lua:3`. `tostring(err)` has both.",
        "- `err.call`: the function that failed, such as `succeed`; `err.guest`: the guest's name.",
        "- `err.outcome`: `failed`, `timeout`, `panicked` or `error`, as in the results.",
        "- `err.command`, `err.exit`, `err.output`: of a call that runs a command; `exit` is nil when it did not end.",
        "",
    ]

    private static func reference(_ function: LuaNative, _ prefix: String) -> [String] {
        let names = function.parameters.map { $0.type.hasSuffix("?") ? "[\($0.name)]" : $0.name }
        var lines = [
            "### \(prefix)\(function.name)(\(names.joined(separator: ", ")))", "", oneLine(function.documentation), "",
        ]
        lines += function.parameters.map { "- `\($0.name)`: `\($0.type)` \(oneLine($0.documentation))" }
        lines += function.results.map {
            "- returns `\($0.type)` \($0.name == "..." ? "" : $0.name). \(oneLine($0.documentation))"
        }
        return lines + (function.parameters.isEmpty && function.results.isEmpty ? [] : [""])
    }
}
