import LabEngine
import LuaRuntime

/// A guest's state as scripts hold it.
final class ScriptSnapshot: Sendable {
    let live: GuestSnapshot
    let world: ScriptWorld

    init(_ live: GuestSnapshot, _ world: ScriptWorld) {
        self.live = live
        self.world = world
    }
}

extension LuaClass {
    /// A guest's state.
    static let snapshot = LuaClass(
        "snapshot", "A guest as it was at one moment: its memory, processes and disks.",
        methods: [
            LuaNative(
                "clone", "Makes guests that go on from the snapshot. They get identities as those of `guest:clone`.",
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
            LuaField("guest", "string", "The name of the guest that it was taken of.", of: ScriptSnapshot.self) {
                .text($0.live.planned.guest.name)
            }
        ],
        describe: {
            ($0.object as? ScriptSnapshot).map { "snapshot of \($0.live.planned.guest.name)" } ?? "snapshot"
        })
}

extension GuestMethods {
    static let count = LuaParameter("count", "integer?", "How many, 1 to 10000.")
    static let clones = LuaParameter("clones", "guest|guest[]", "A list of them; without `count` the one guest.")
    private static let patience = LuaParameter("options", "table?", "Options: `timeout`, that of saving the guest.")

    // MARK: Snapshots

    static let snapshots = [
        LuaNative(
            "snapshot", "Keeps the guest as it is now, for clones of it. It goes on afterwards.",
            parameters: [patience], results: [LuaParameter("snapshot", "snapshot")],
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
            "Makes guests that go on from where this one is now, with its memory, files and processes. Each has its own name "
                + "(`web-1` …), machine-id, random numbers, time, disks, and address on each network. The original goes on.",
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
            "Makes the guest what some guest of its shape was when the snapshot was taken, itself most often. It keeps its name "
                + "and addresses, and gets new random numbers and the present time; what it did since then is lost.",
            parameters: [
                LuaParameter("snapshot", "snapshot"),
                LuaParameter("options", "table?", "Options: `timeout` (the lab's `boot` timeout otherwise)."),
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
