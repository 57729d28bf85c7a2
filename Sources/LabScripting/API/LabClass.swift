import Diagnostics
import LabResults
import LuaRuntime

/// A lab file as scripts hold it.
final class ScriptLab: Sendable {
    let path: String
    let world: ScriptWorld

    init(_ path: String, _ world: ScriptWorld) {
        self.path = path
        self.world = world
    }

    /// `vmlab.lab`.
    static func function(_ world: ScriptWorld) -> LuaNative {
        LuaNative(
            "lab", "Opens a lab file to run from the script.",
            parameters: [LuaParameter("file", "string", "Its path, relative to the script's folder.")],
            results: [LuaParameter("lab", "lab", "The lab, not yet checked.")],
            body: { call in
                let file = try call.hostPath(1)
                if file.lowercased().hasSuffix(".lua") {
                    throw call.badArgument(
                        1,
                        "\(file.quoted()) is a script, not a lab file: `require` it, or give it to `vmlab run` itself")
                }
                let path = try world.readablePath(file, as: "the lab file")
                return [.object(LuaObject(ScriptLab(path, world), .lab))]
            })
    }
}

extension LuaClass {
    static let lab = LuaClass(
        "lab", "A lab file that the script can run.",
        methods: [
            LuaNative(
                "run", "Runs the lab and returns its results. Failed tasks raise no error.",
                parameters: [
                    LuaParameter("options", "table?", "`set`, a table of values to override, as with `--set`.")
                ],
                results: [
                    LuaParameter(
                        "results", "{status: string, ok: boolean, duration: number, tasks: table[], guests: table[]}",
                        "The results, as in results.json. Each task has `task`, `guest`, `index`, `outcome`, `exit`, "
                            + "`duration`, `message` and `output`.")
                ],
                waiting: { call in
                    let lab = try call.receiver(as: ScriptLab.self)
                    let settings = try call.options(1) { try $0.environment("set") }
                    guard let run = lab.world.runLab else {
                        throw LuaCallError("a task of a lab cannot run another lab")
                    }
                    return try await ScriptScope.step(call, lab.path) { _ in
                        [.table(try await run(lab.path, settings.map { (key: $0.name, value: $0.value) }).table)]
                    }
                })
        ],
        fields: [LuaField("file", "string", "Its path.", of: ScriptLab.self) { .text($0.path) }],
        describe: { ($0.object as? ScriptLab).map { "lab \($0.path)" } ?? "lab" })
}

extension RunReport {
    /// The report for scripts.
    fileprivate var table: LuaTable {
        let tasks = tasks.map { task -> LuaValue in
            .table(
                LuaTable(fields: [
                    "task": .text(task.id.task), "guest": task.id.guest.map { .text($0) } ?? .nil,
                    "index": .integer(Int64(task.id.index)), "outcome": .text(task.outcome.rawValue),
                    "exit": task.exit.map { .integer(Int64($0)) } ?? .nil, "duration": .number(task.duration),
                    "message": task.message.map { .text($0) } ?? .nil, "output": .text(task.outputTail),
                ]))
        }
        let guests = guests.map { report -> LuaValue in
            .table(
                LuaTable(fields: [
                    "name": .text(report.guest.name), "image": .text(report.guest.image),
                    "backend": .text(report.guest.backend),
                    "boot_seconds": report.bootSeconds.map { .number($0) } ?? .nil,
                    "reason": report.reason.map { .text($0) } ?? .nil,
                ]))
        }
        return LuaTable(fields: [
            "status": .text(status), "ok": .boolean(status == "passed"), "duration": .number(duration),
            "tasks": .table(LuaTable(array: tasks)), "guests": .table(LuaTable(array: guests)),
        ])
    }
}
