import LuaRuntime

/// The Lua API of labs: the single source of its functions, of the editors' annotations and of the reference.
struct API {
    let world: ScriptWorld
    /// The words given with `--arg`.
    var arguments: [String] = []
    /// `--set` values, which take precedence over the host's environment.
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
                "env": .texts(variables.map { ($0.key, $0.value) }),
            ])
    }

    /// The kinds of objects that its functions return.
    static let classes: [LuaClass] = [.guest, .snapshot, .lab]

    /// The fields of the module that are no functions, for documentation.
    static let values = [
        LuaParameter("args", "string[]", "The values of `--arg`, in order."),
        LuaParameter(
            "env", "table<string, string>",
            "Variables by name: those that `--set NAME=value` gives, then those of vmlab's own environment that `--env NAME` "
                + "(or `--trust`, for all) lets scripts see."),
    ]
}
