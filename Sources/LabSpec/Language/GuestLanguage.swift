import Quantities

/// What a guest group, or `defaults:`, says.
struct GuestDraft: Draft {
    var place = Place()
    var image: Located<String>?
    var count: Int?
    var memory: ByteCount?
    var cpus: Int?
    var nested: Bool?
    var disks: [Located<DiskDraft>]?
    var networks: [Located<String>]?
    var backend: BackendChoice?
    var boot: BootChoice?
    var cpuWeight: Int?
    var ioWeight: Int?
    var cmdline: String?
    var env: [Named<String>]?
    var shell: String?

    static let fields: [Field<GuestDraft>] = [
        Field(
            "image", \.image, Form.imageName.located,
            "The image that the guests boot: a name from `images:` or from the catalog, such as `debian` or `wine`."),
        Field(
            "count", \.count, .integer(1...Limits.guests),
            "How many guests: with `count: 5` the group `lin` has `lin-1` to `lin-5`, without it one guest `lin`."),
        // The image defines the minimum.
        Field(
            "memory", \.memory, .size(atLeast: ByteCount(0), usual: .mebibytes(96)),
            "RAM of each guest, such as `512MiB` or `5GiB`."),
        Field("cpus", \.cpus, .integer(1...64), standard: 1, "Virtual processors of each guest."),
        Field(
            "nested", \.nested, .boolean, standard: false,
            "Nested virtualization: the guest has a working `/dev/kvm`, emulated if necessary."),
        Field(
            "disks", \.disks, .list(of: DiskDraft.form.located, allowEmpty: true),
            "Additional disks: a size for an empty disk that is deleted with the guest, or a disk image, never written to."
        ),
        Field(
            "networks", \.networks, .list(of: Form.name.located, allowEmpty: true),
            "Networks that each guest joins, by the names under `networks:`, in the order of its network cards."),
        Field(
            "backend", \.backend, .choice(), standard: "auto",
            "What runs the guests; `auto` picks the best on this host."
        ),
        Field(
            "boot", \.boot, .choice(), standard: "auto",
            "How guests start: `cold` from power-on, `clone` as a clone of a golden, `auto` as a clone where possible."),
        Field(
            "cpuWeight", \.cpuWeight, .integer(1...10000), standard: 100,
            "Share of processor time relative to other guests under contention: 200 gets twice as much as 100."),
        Field(
            "ioWeight", \.ioWeight, .integer(1...10000), standard: 100,
            "Share of disk time relative to other guests under contention."),
        Field("cmdline", \.cmdline, .line("kernel command line words"), "Added to the kernel command line."),
        Field("env", \.env, .environment, "Environment variables of all tasks on these guests."),
        Field("shell", \.shell, .shell, "The default `shell` of tasks on these guests."),
    ]

    static let group = Shape<GuestDraft>(
        id: "guest", noun: "a guest group", doc: "A group of identical guests.", fields: fields)
    static let defaults = Shape<GuestDraft>(
        id: "defaults", noun: "`defaults`", doc: "Defaults for all guest groups.", fields: fields)

    /// The group's own words, else those of `defaults`; environments add up.
    func filled(from defaults: GuestDraft) -> GuestDraft {
        var filled = self
        for field in Self.fields { field.fill(&filled, defaults) }
        // One that was refused is not the usual one.
        if place.keys["count"] != nil { filled.count = count }
        filled.env = (defaults.env ?? []) + (env ?? [])
        return filled
    }
}

/// One entry of `disks:`.
struct DiskDraft: Draft {
    var place = Place()
    var size: ByteCount?
    var path: String?
    var format: ImageDisk.Format?

    private static let shape = Shape<DiskDraft>(
        id: "disk", noun: "a disk", doc: "A disk in addition to the image's own.",
        fields: [
            Field("size", \.size, .size(atLeast: .mebibytes(1)), "An empty disk of this size, deleted with the guest."),
            Field("path", \.path, .filled("a path"), "A disk image on the host; never written to."),
            Field("format", \.format, .choice(), DiskFileDraft.formatHelp),
        ], exclusive: [["size", "path"], ["size", "format"]], atLeastOne: ["size", "path"])

    static let form: Form<DiskDraft> = .byKind("a size such as `2GiB` or a path", scalar: word, mapping: shape.form())

    /// A text is a size when it begins with a digit and has no `/`, else a path.
    private static let word: Form<DiskDraft> = {
        let size = Form.size(atLeast: .mebibytes(1))
        return Form<String>.filled("a size or a path").then { text, node, decoding in
            var draft = DiskDraft()
            if text.first?.isASCII == true, text.first?.isNumber == true, !text.contains("/") {
                guard let amount = size.decode(node, decoding) else { return nil }
                draft.size = amount
            } else {
                draft.path = text
            }
            return draft
        }
    }()
}

extension Form where Value == [Named<String>] {
    /// Environment variables: names and texts; nothing written is the empty text.
    static let environment: Form = .dictionary(
        of: .text("text", orNull: true), keys: Names.variableSchemaPattern, allowEmpty: true,
        checkKey: Names.checkVariable)
}
