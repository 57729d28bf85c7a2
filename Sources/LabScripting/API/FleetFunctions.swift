import Diagnostics
import GuestControl
import LabRunner
import LabSpec
import LuaRuntime
import YAMLTree

/// What boots guests.
struct FleetFunctions {
    let world: ScriptWorld
    let catalog: Set<String>

    var all: [LuaNative] { [boot, fleet, image, network] }

    private var boot: LuaNative {
        LuaNative(
            "boot", "Boots a guest, or `count` guests at once, and waits until they are ready.",
            parameters: [
                LuaParameter(
                    "guest", "table",
                    "Its `name`, and the keys of a group under `guests:` of a lab file: `image`, `memory`, `cpus`, `count`, "
                        + "`disks`, `networks`, `backend`, `boot`, `cpuWeight`, `ioWeight`, `cmdline`, `env`, `nested`. Without a "
                        + "`name` the guest is called after its image, such as `debian-1`. Networks need no declaration."
                )
            ],
            results: [LuaParameter("guest", "guest", "The guest; with `count` a list of guests.")],
            waiting: { call in
                let table = try call.table(1)
                let tree = LabTree(call, in: world)
                let fleet = try world.needFleet()
                let reservation = table["name"].isNil ? reserveName(of: table, fleet) : nil
                guard let name = reservation?.group ?? table["name"].words else {
                    throw call.badArgument(1, "'name' must be a string")
                }
                var group = table
                group["name"] = .nil
                let networks = networks(of: table)
                let images = world.images
                let root = tree.map(
                    [("guests", tree.map([(name, try tree.value(.table(group), named: name, call))]))]
                        + (images.isEmpty ? [] : [("images", tree.map(images))])
                        + (networks.isEmpty ? [] : [("networks", tree.list(networks.map(tree.word)))]))
                let guests = try await start(call, root, "\(name)", tree, fleet, as: reservation)
                return table["count"].isNil
                    ? guests.map(world.object) : [.table(LuaTable(array: guests.map(world.object)))]
            })
    }

    /// Guests without a name of their own are called after their image: `debian-1`, and with a count `debians-1-1` and so on.
    private func reserveName(of table: LuaTable, _ fleet: ScriptFleet) -> ScriptFleet.Reservation {
        // `debian:13` is no host name.
        let image = (table["image"].words ?? "guest").replacing(":", with: "-")
        if table["count"].isNil { return fleet.reserve(image, count: nil) }
        // Whether it is a count at all will be found out.
        var count = 1
        if case .integer(let number) = table["count"] { count = Int(min(max(number, 1), 10_000)) }
        return fleet.reserve("\(image)s", count: count)
    }

    private var fleet: LuaNative {
        LuaNative(
            "fleet", "Boots a whole fleet, declared as in a lab file.",
            parameters: [
                LuaParameter(
                    "fleet", "table",
                    "`guests`, a table of groups by name; optionally `defaults`, `images`, `networks`, `timeouts` and `env`."
                )
            ],
            results: [
                LuaParameter(
                    "guests", "table<string, guest>", "The guests by name; for a group with `count` a list of guests.")
            ],
            waiting: { call in
                let table = try call.table(1)
                let tree = LabTree(call, in: world)
                let fleet = try world.needFleet()
                let guests = try await start(
                    call, try tree.value(.table(table), named: "fleet", call), "the fleet", tree, fleet)
                return [.table(world.byGroup(guests))]
            })
    }

    private var image: LuaNative {
        LuaNative(
            "image",
            "Declares an image that guests booted later can name. It is made once, with the first of them, and cloned from then on.",
            parameters: [
                LuaParameter(
                    "image", "table",
                    "Its `name`, and the keys of an image under `images:` of a lab file: `from`, `packages`, `files`, `setup`, "
                        + "`on-clone`, `init`, `size`, `kernel` and others.")
            ],
            results: [LuaParameter("name", "string", "Its name, for `image` of `vmlab.boot`.")],
            body: { call in
                var table = try call.table(1)
                guard let name = table["name"].words else { throw call.badArgument(1, "'name' must be a string") }
                table["name"] = .nil
                world.declare(image: name, try LabTree(call, in: world).value(.table(table), named: name, call))
                return [.string(LuaString(name))]
            })
    }

    private var network: LuaNative {
        LuaNative(
            "network",
            "Declares a network that guests booted later can join. Needed only for networks that reach the outside.",
            parameters: [
                LuaParameter("name", "string", "The name to use in `networks`."),
                LuaParameter(
                    "options", "table?",
                    "`nat` (false), whether it reaches the outside through the host; `host`, with `nat`, a list of "
                        + "ports of the host's own 127.0.0.1 that guests reach at 10.0.2.2."),
            ],
            body: { call in
                let name = try call.string(1)
                let (nat, host) = try call.options(2) {
                    (try $0.boolean("nat") ?? false, try $0.integers("host", 1...65535))
                }
                if !nat, !host.isEmpty { throw call.badArgument(2, "option 'host' needs 'nat'") }
                try world.needFleet().addNetwork(
                    NetworkSpec(name: name, nat: nat, host: Set(host.map { UInt16(clamping: $0) })))
                return []
            })
    }

    /// The names of the networks that a group joins, each once.
    private func networks(of group: LuaTable) -> [String] {
        guard case .table(let list) = group["networks"] else { return [] }
        return Set(list.array.compactMap(\.words)).sorted()
    }

    private func start(
        _ call: LuaCall, _ root: YAMLNode, _ text: String, _ tree: LabTree, _ fleet: ScriptFleet,
        as reservation: ScriptFleet.Reservation? = nil
    ) async throws -> [LiveGuest] {
        try await ScriptScope.step(call, text) { _ in
            var lab = try LabFile.fleet(
                root, source: tree.span.file, directory: world.folder, catalog: catalog, access: world.access)
            lab.name = world.source.path
            return try await fleet.boot(lab, as: reservation)
        }
    }
}
