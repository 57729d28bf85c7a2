import LabEngine
import LuaRuntime

/// All that scripts of labs find: the one source of their functions, of the editors' annotations and of the documentation.
struct API {
    let world: ScriptWorld
    /// The words given with `--arg`.
    var arguments: [String] = []
    /// `--set` values, which go before the host's environment.
    var variables: [String: String] = [:]
    /// Images that need no declaration.
    let catalog: Set<String>

    /// The global `vmlab`.
    var module: LuaModule {
        LuaModule(
            "vmlab", "Virtual machines for tests and labs.",
            functions: FleetFunctions(world: world, catalog: catalog).all + FlowFunctions(world: world).all
                + CheckFunctions.all + [ScriptLab.function(world)],
            values: [
                "args": .table(LuaTable(array: arguments.map { .text($0) })),
                "env": .table(
                    LuaTable(fields: Dictionary(variables.map { (LuaString($0.key), LuaValue.text($0.value)) }) { $1 })),
            ])
    }

    /// The kinds of objects that its functions return.
    static let classes: [LuaClass] = [.guest, .snapshot, .lab]

    /// The fields of the module that are no functions, for documentation.
    static let values = [
        LuaParameter("args", "string[]", "The words given with `--arg`."),
        LuaParameter(
            "env", "table<string, string>",
            "The variables of vmlab's own environment that `--env NAME` grants, with `--trust` all, and above them what "
                + "`--set NAME=value` gives."),
    ]
}
