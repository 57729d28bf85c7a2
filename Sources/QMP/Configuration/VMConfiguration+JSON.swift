import Diagnostics
import JSON
import Quantities

extension VMConfiguration {
    /// Reads a configuration from JSON; README.md of vmlab-vmm describes it. Omitted values are `init`'s. Throws all mistakes of
    /// form at once, each with the path of its key; one of JSON itself with line and column.
    package init(json bytes: some Sequence<UInt8>) throws(DiagnosticList) {
        let value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue(parsing: bytes)
        } catch {
            throw DiagnosticList([Diagnostic(.specification, "the configuration is not JSON", cause: "\(error)")])
        }
        try self.init(value)
    }

    package init(_ value: JSONValue) throws(DiagnosticList) {
        let problems = JSONFields.Problems()
        let known = [
            "name", "kernel", "initrd", "cmdline", "memory", "cpus", "com1", "com2", "monitor", "disks", "networks",
            "debugLog", "snapshots", "golden", "restore", "sandbox",
        ]
        guard let fields = JSONFields(value, at: "", known: known, problems) else {
            throw DiagnosticList(problems.all)
        }
        self.init(kernel: fields.requiredText("kernel"))
        if let name = fields.text("name") { self.name = name }
        initrd = fields.text("initrd")
        cmdline = fields.text("cmdline") ?? ""
        memory = fields.memory ?? Self.usualMemory
        // A number outside of Int is out of range too.
        cpus = fields.optional("cpus", "a whole number", \.integerValue).map { Int(clamping: $0) } ?? 1
        com1 = fields.endpoint("com1") ?? .none
        com2 = fields.endpoint("com2") ?? .none
        monitor = fields.endpoint("monitor") ?? .none
        disks = fields.elements("disks").compactMap { Disk($0.value, at: $0.place, problems) }
        networks = fields.elements("networks").compactMap { Network($0.value, at: $0.place, problems) }
        debugLog = fields.value("debugLog").flatMap { value -> Int32? in
            JSONFields(value, at: "debugLog", known: ["fd"], problems)?.descriptor
        }
        snapshots = fields.text("snapshots")
        golden = fields.text("golden")
        restore = fields.text("restore")
        sandbox = fields.truth("sandbox", usual: true)
        guard problems.all.isEmpty else { throw DiagnosticList(problems.all) }
    }

    /// The configuration as JSON that `init` reads back.
    package var json: JSONValue {
        [
            "name": .string(name), "kernel": .string(kernel), "cmdline": .string(cmdline),
            "memory": .integer(Int64(clamping: memory)), "cpus": .integer(Int64(cpus)), "com1": com1.json,
            "com2": com2.json, "monitor": monitor.json, "disks": .array(disks.map(\.json)),
            "networks": .array(networks.map(\.json)), "sandbox": .bool(sandbox),
            "initrd": initrd.map(JSONValue.string), "snapshots": snapshots.map(JSONValue.string),
            "golden": golden.map(JSONValue.string), "restore": restore.map(JSONValue.string),
            "debugLog": debugLog.map { ["fd": .integer(Int64($0))] },
        ]
    }
}

extension VMConfiguration {
    package static let sizeRemedy = "write it as `256MiB`, `1GiB` or `1G`"

    /// A size as text: a number with a unit, or of bytes. Nil for anything else.
    package static func bytes(_ text: String) -> UInt64? { UInt64(text) ?? ByteCount(parsing: text)?.bytes }
}

extension VMConfiguration.Endpoint {
    fileprivate var json: JSONValue {
        switch self {
        case .none: "none"
        case .terminal: "terminal"
        case .descriptor(let number): ["fd": .integer(Int64(number))]
        case .socket(let path): ["socket": .string(path)]
        }
    }
}

extension VMConfiguration.Disk {
    fileprivate init?(_ value: JSONValue, at path: String, _ problems: JSONFields.Problems) {
        guard let fields = JSONFields(value, at: path, known: ["path", "serial", "readOnly", "overlay"], problems)
        else { return nil }
        self.init(
            path: fields.requiredText("path"), serial: fields.text("serial") ?? "",
            readOnly: fields.truth("readOnly", usual: false), overlay: fields.text("overlay"))
    }

    fileprivate var json: JSONValue {
        [
            "path": .string(path), "serial": .string(serial), "readOnly": .bool(readOnly),
            "overlay": overlay.map(JSONValue.string),
        ]
    }
}

extension VMConfiguration.Network {
    fileprivate init?(_ value: JSONValue, at path: String, _ problems: JSONFields.Problems) {
        guard let fields = JSONFields(value, at: path, known: ["mac", "local", "remote", "tap"], problems) else {
            return nil
        }
        let mac = fields.requiredText("mac")
        if fields.has("tap") {
            if fields.has("local") || fields.has("remote") {
                problems.add(path, "a card has either a tap or two sockets", remedy: "leave out one of them")
            }
            self.init(mac: mac, link: .tap(fields.requiredText("tap")))
        } else if fields.has("local") || fields.has("remote") {
            self.init(
                mac: mac,
                link: .sockets(local: fields.requiredText("local"), remote: fields.requiredText("remote")))
        } else {
            problems.add(path, "the card is not connected", remedy: "give it `local` and `remote`, or `tap`")
            return nil
        }
    }

    fileprivate var json: JSONValue {
        switch link {
        case .sockets(let local, let remote):
            ["mac": .string(mac), "local": .string(local), "remote": .string(remote)]
        case .tap(let name): ["mac": .string(mac), "tap": .string(name)]
        }
    }
}

extension JSONFields {
    /// A number of bytes, or a text such as `256MiB`.
    fileprivate var memory: UInt64? {
        switch value("memory") {
        case nil: return nil
        case .integer(let bytes):
            if let bytes = UInt64(exactly: bytes) { return bytes }
        case .string(let text):
            if let bytes = VMConfiguration.bytes(text) { return bytes }
        default: break
        }
        let remedy = "\(VMConfiguration.sizeRemedy), or as a number of bytes"
        problems.add(place(of: "memory"), "expected a size", remedy: remedy)
        return nil
    }

    fileprivate var descriptor: Int32? {
        guard let number = optional("fd", "a whole number", \.integerValue) else {
            if value("fd") == nil { problems.add(place(of: "fd"), "is missing") }
            return nil
        }
        // A number outside of Int32 is no descriptor either, which the checks report.
        return Int32(clamping: number)
    }

    fileprivate func endpoint(_ key: String) -> VMConfiguration.Endpoint? {
        guard let value = value(key) else { return nil }
        if value == "none" { return VMConfiguration.Endpoint.none }
        if value == "terminal" { return .terminal }
        let remedy = #"write {"fd": 3}, {"socket": "/path"}, "terminal" or "none""#
        guard case .object(let members) = value else {
            problems.add(place(of: key), "is no place for a stream", remedy: remedy)
            return nil
        }
        guard let fields = JSONFields(value, at: place(of: key), known: ["fd", "socket"], problems) else { return nil }
        guard members.keys.count == 1 else {
            problems.add(place(of: key), "expected one of fd and socket", remedy: remedy)
            return nil
        }
        if fields.has("fd") { return fields.descriptor.map { .descriptor($0) } }
        return fields.has("socket") ? .socket(fields.requiredText("socket")) : nil
    }
}
