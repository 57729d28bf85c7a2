import GuestControl
import LuaRuntime

/// A guest's saved state, as a Lua object.
final class ScriptSnapshot: Sendable {
    let live: GuestSnapshot
    let world: ScriptWorld

    init(_ live: GuestSnapshot, _ world: ScriptWorld) {
        self.live = live
        self.world = world
    }
}

extension LuaClass {
    static let snapshot = LuaClass(
        "snapshot", "A guest as it was at one moment: its memory, processes and disks.",
        methods: [
            LuaNative(
                "clone",
                "Makes guests that continue from the snapshot, with identities of their own as from `guest:clone`.",
                parameters: [GuestMethods.count], results: [GuestMethods.clones],
                waiting: { call in
                    let snapshot = try call.receiver(as: ScriptSnapshot.self)
                    let count = try GuestMethods.count(of: call)
                    return try await ScriptScope.step(call, GuestMethods.text(count, of: snapshot.live)) { _ in
                        try await GuestMethods.clones(count, from: snapshot.live, in: snapshot.world)
                    }
                })
        ],
        fields: [
            LuaField("guest", "string", "The name of the guest that it was taken from.", of: ScriptSnapshot.self) {
                .text($0.live.planned.guest.name)
            }
        ],
        describe: {
            ($0.object as? ScriptSnapshot).map { "snapshot of \($0.live.planned.guest.name)" } ?? "snapshot"
        })
}

extension GuestMethods {
    static let count = LuaParameter("count", "integer?", "How many, 1 to 10000.")
    static let clones = LuaParameter("clones", "guest|guest[]", "The guest; with `count` a list of guests.")
    private static let patience = LuaParameter("options", "table?", "`timeout`, for saving the guest.")

    // MARK: Snapshots

    static let snapshots = [
        LuaNative(
            "snapshot", "Saves the guest's present state. The guest continues afterwards.",
            parameters: [patience],
            results: [LuaParameter("snapshot", "snapshot", "The saved state, to clone or to restore.")],
            waiting: { call in
                let guest = try call.receiver(as: ScriptGuest.self)
                let timeout = try timeout(call, 1)
                return try await ScriptScope.step(call, on: guest.live, "") { _ in
                    let snapshot = ScriptSnapshot(try await guest.live.snapshot(timeout: timeout), guest.world)
                    return [.object(LuaObject(snapshot, .snapshot))]
                }
            }),
        LuaNative(
            "clone",
            "Makes guests that continue from this one's present state, with its memory, files and processes. Each has its own name "
                + "(`web-1` …), machine-id, random numbers, time, disks, and address on each network. The original continues too.",
            parameters: [count, patience], results: [clones],
            waiting: { call in
                let guest = try call.receiver(as: ScriptGuest.self)
                let count = try count(of: call)
                let timeout = try timeout(call, 2)
                _ = try guest.world.needFleet()
                return try await ScriptScope.step(call, on: guest.live, count.map { "\($0)" } ?? "") { _ in
                    try await clones(count, from: try await guest.live.snapshot(timeout: timeout), in: guest.world)
                }
            }),
        LuaNative(
            "restore",
            "Returns the guest to the state of a snapshot of itself, or of another guest with the same memory, processors, disks and "
                + "networks. It keeps its name and addresses, and gets new random numbers and the present time; its own later work is lost.",
            parameters: [
                LuaParameter("snapshot", "snapshot", "The state to return to."),
                LuaParameter("options", "table?", "`timeout`."),
            ], results: [],
            waiting: { call in
                let guest = try call.receiver(as: ScriptGuest.self)
                let snapshot = try call.object(1, as: ScriptSnapshot.self, expected: "snapshot")
                let timeout = try timeout(call, 2)
                return try await ScriptScope.step(call, on: guest.live, "") { _ in
                    try await guest.live.restore(snapshot.live, timeout: timeout)
                    return []
                }
            }),
    ]

    // MARK: Options

    fileprivate static func count(of call: LuaCall) throws -> Int? {
        guard let count = try call.optional(1, call.integer) else { return nil }
        guard (1...10_000).contains(count) else { throw call.badArgument(1, "a whole number from 1 to 10000 expected") }
        return Int(count)
    }

    fileprivate static func text(_ count: Int?, of snapshot: GuestSnapshot) -> String {
        "\(count ?? 1) of \(snapshot.planned.guest.name)"
    }

    fileprivate static func clones(
        _ count: Int?, from snapshot: GuestSnapshot, in world: ScriptWorld
    ) async throws -> [LuaValue] {
        let guests = try await world.needFleet().clone(snapshot, count: count ?? 1).map(world.object)
        return count == nil ? guests : [.table(LuaTable(array: guests))]
    }
}
