import HostSystem
import GuestControl
import LabSpec
import LuaRuntime

extension GuestMethods {
    private static let path = LuaParameter("path", "string", "An absolute path in the guest.")
    private static let patience = LuaParameter("options", "table?", "`timeout`.")

    // MARK: Files

    static let files = [
        LuaNative(
            "put", "Copies a file or folder from the host into the guest.",
            parameters: [
                LuaParameter(
                    "host", "string",
                    "A path on the host, relative to the script's folder. Outside of that folder it needs `--allow` or "
                        + "`--trust`. Links are followed."),
                LuaParameter(
                    "path", "string",
                    "An absolute path in the guest; with a trailing `/`, the folder that gets the copy."),
                LuaParameter(
                    "options", "table?",
                    "`timeout`; `links`, how links inside a folder are copied: `\"keep\"` (the default), as links, or "
                        + "`\"follow\"`, as what they point to; `ignore`, with `\"git\"` to leave out what git ignores."
                ),
            ],
            waiting: { call in
                let guest = try call.receiver(as: ScriptGuest.self)
                let (host, path) = (try call.hostPath(1), try call.guestPath(2))
                let (timeout, links, ignore) = try call.options(3) {
                    (
                        try $0.duration("timeout"), try $0.choice("links", LinkCopy.self) ?? .keep,
                        try $0.choice("ignore", IgnoreRules.self)
                    )
                }
                try await ScriptScope.step(call, on: guest.live, "\(host) → \(path)") { _ in
                    var copy = FileCopy(
                        host: try guest.world.readablePath(host, as: "the file"), guest: path, links: links,
                        ignore: ignore)
                    // The name is the one that was given, wherever a link has led.
                    if path.hasSuffix("/"), let name = host.split(separator: "/").last { copy.guest += name }
                    try await guest.live.put(copy, with: guest.world.access, timeout: timeout)
                }
                return []
            }),
        LuaNative(
            "get", "Copies a file or folder, or all that match a pattern, from the guest into the results.",
            parameters: [
                LuaParameter(
                    "path", "string", "An absolute path in the guest; it may end in a pattern, such as `/root/*.log`."),
                LuaParameter("folder", "string?", "A folder for it in the results, such as `logs/`."),
                LuaParameter("options", "table?", "`timeout`; `limit`, the largest total size (`\"4GiB\"`)."),
            ],
            results: [
                LuaParameter(
                    "file", "string", "The path of the copy on the host; for a pattern, one result for each match.")
            ],
            waiting: { call in
                let guest = try call.receiver(as: ScriptGuest.self)
                let path = try call.guestPath(1, for: .collected)
                let folder = try call.optional(2, call.string) ?? ""
                let (timeout, limit) = try call.options(3) { (try $0.duration("timeout"), try $0.size("limit")) }
                let target: HostFolder
                do {
                    target = try guest.world.collectionFolder(folder)
                } catch let refusal as RelativePath.Refusal {
                    throw call.badArgument(2, "a folder within the results, not \(folder.debugDescription): \(refusal)")
                }
                return try await ScriptScope.step(call, on: guest.live, path) { _ in
                    let files = try await guest.live.get(
                        FileCollection(path, limit: limit), into: target, timeout: timeout)
                    let places = files.names.map { FilePath.absolute("\(target.path)/\($0)") }
                    for place in places { ScriptScope.current?.add(place) }
                    for note in files.notes { guest.world.note(note) }
                    return places.map { .text($0) }
                }
            }),
        LuaNative(
            "read", "Reads a file of the guest, of at most 64 MiB.", parameters: [path, patience],
            results: [LuaParameter("content", "string", "Its bytes.")],
            waiting: { call in
                let guest = try call.receiver(as: ScriptGuest.self)
                let path = try call.guestPath(1)
                let timeout = try timeout(call, 2)
                return try await ScriptScope.step(call, on: guest.live, path) { _ in
                    let bytes = try await guest.live.read(path, limit: StepNotes.limit, timeout: timeout)
                    return [.string(LuaString(bytes))]
                }
            }),
        LuaNative(
            "write", "Writes a file in the guest, replacing it if it exists.",
            parameters: [path, LuaParameter("content", "string", "Its bytes."), patience],
            waiting: { call in
                let guest = try call.receiver(as: ScriptGuest.self)
                let path = try call.guestPath(1)
                let content = try call.bytes(2)
                let timeout = try timeout(call, 3)
                try await ScriptScope.step(call, on: guest.live, path) { _ in
                    try await guest.live.write(content, to: path, timeout: timeout)
                }
                return []
            }),
    ]

    static func timeout(_ call: LuaCall, _ place: Int) throws -> Duration? {
        try call.options(place) { try $0.duration("timeout") }
    }

    // MARK: The machine

    static let machine = [
        LuaNative(
            "reboot",
            "Reboots the guest and waits until it is ready. The guest reboots itself; if it does not within 30 s, it is reset.",
            parameters: [patience],
            waiting: { call in
                let timeout = try timeout(call, 1)
                return try await machine(call) { try await $0.reboot(timeout: timeout) }
            }),
        LuaNative(
            "poweroff",
            "Shuts the guest down and waits until it is off; cuts its power if it does not comply. Its disks are kept for `start`, until "
                + "other guests need its memory.",
            parameters: [patience],
            waiting: { call in
                let timeout = try timeout(call, 1)
                return try await machine(call) { try await $0.powerOff(timeout: timeout) }
            }),
        LuaNative(
            "start", "Boots a guest that is powered off, with its disks, and waits until it is ready.",
            parameters: [patience],
            waiting: { call in
                let timeout = try timeout(call, 1)
                return try await machine(call) { try await $0.start(timeout: timeout) }
            }),
        LuaNative(
            "kill", "Ends the guest at once, like pulling the plug.",
            waiting: { call in try await machine(call) { try await $0.kill() } }),
        LuaNative(
            "pause", "Pauses the guest's processors.",
            waiting: { call in try await machine(call) { try await $0.pause() } }),
        LuaNative(
            "resume", "Resumes the guest's processors.",
            waiting: { call in try await machine(call) { try await $0.resume() } }),
        LuaNative(
            "address", "Returns the guest's address on a network that it has joined.",
            parameters: [LuaParameter("network", "string", "The network's name.")],
            results: [LuaParameter("address", "string", "An IPv4 address, such as `10.100.0.1`.")],
            body: { call in
                let guest = try call.receiver(as: ScriptGuest.self)
                let network = try call.string(1)
                guard let address = guest.live.address(on: network) else {
                    let networks = guest.live.planned.group.networks
                    throw call.badArgument(
                        1,
                        "\(guest.live.name) has not joined \(network.debugDescription)"
                            + (networks.isEmpty ? "" : ", only \(networks.joined(separator: ", "))"))
                }
                return [.text(address)]
            }),
    ]

    private static func machine(_ call: LuaCall, _ body: (LiveGuest) async throws -> Void) async throws -> [LuaValue] {
        let guest = try call.receiver(as: ScriptGuest.self)
        try await ScriptScope.step(call, on: guest.live, "") { _ in try await body(guest.live) }
        return []
    }
}
