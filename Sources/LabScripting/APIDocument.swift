import Diagnostics
import LabResults
import LuaRuntime

/// The documentation of the Lua API, for people and for editors, from the same table that registers its functions.
public enum APIDocument {
    /// The module for documentation, whose functions are never called.
    static var module: LuaModule {
        let world = ScriptWorld(
            fleet: nil, recorder: RunRecorder(sinks: []), results: nil, source: SourceFile(path: "", text: ""),
            folder: "/")
        return API(world: world, catalog: []).module
    }

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

    static func oneLine(_ text: String) -> String { text.split(separator: "\n").joined(separator: " ") }

    /// The globals of a `lua:` task besides `vmlab`.
    static let taskGlobals = [
        LuaParameter("guest", "guest", "The guest that the `lua:` task runs on."),
        LuaParameter(
            "lab",
            "{name: string, task: string, index: integer, env: table<string, string>, matrix: table<string, string|number|boolean>, "
                + "guests: table<string, guest>}",
            "The lab of the `lua:` task: the names of lab and task, the index of the repetition, the task's environment, the "
                + "values of the matrix, and the guests by name."
        ),
    ]
}
