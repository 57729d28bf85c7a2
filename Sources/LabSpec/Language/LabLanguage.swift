import Quantities

struct LabDraft: Draft {
    var place = Place()
    var lab: Located<String>?
    var defaults: GuestDraft?
    var guests: [Named<GuestDraft>]?
    var images: [Named<ImageDraft>]?
    var networks: [Named<NetworkDraft>]?
    var tasks: [TaskDraft]?
    var timeouts: TimeoutsDraft?
    var admission: AdmissionMode?
    var failOn: [TroubleKind]?
    var outputLimit: ByteCount?
    var env: [Named<String>]?
    var matrix: Matrix?

    /// A fleet without tasks, whose tasks are written in another language.
    static let fleet = Shape<LabDraft>(
        id: "fleet", noun: "a fleet", doc: "A fleet of virtual machines.",
        fields: shape.fields.filter { ["defaults", "images", "networks", "timeouts", "env"].contains($0.name) } + [
            Field(
                "guests", \.guests, .named(GuestDraft.group.form(), nullAs: { GuestDraft() }),
                required: "guests = {vm = {image = \"debian\"}}", "Groups of identical guests by name.")
        ]
    ).form()

    static let form = shape.form()
    static let shape = Shape<LabDraft>(
        id: "lab", noun: "a lab",
        doc: "A lab: a fleet of virtual machines and the tasks to run on them.",
        fields: [
            Field("lab", \.lab, Form.name.located, required: "lab: my-lab", "The lab's name."),
            Field("defaults", \.defaults, GuestDraft.defaults.form(orNull: true), "Defaults for all guest groups."),
            Field(
                "guests", \.guests, .named(GuestDraft.group.form(), nullAs: { GuestDraft() }),
                required: "guests: {vm: {image: debian}}", "The fleet: groups of identical guests by name."),
            Field("images", \.images, .named(ImageDraft.shape.form()), "Images of your own, by name."),
            Field(
                "networks", \.networks, NetworkDraft.form,
                "Isolated segments between guests: a list of names, or a map."),
            Field(
                "tasks", \.tasks, .list(of: TaskDraft.shape.form()), required: "tasks: [{name: hello, run: uname -a}]",
                "What to do on the guests."),
            Field("timeouts", \.timeouts, TimeoutsDraft.shape.form(orNull: true), "How long things may take."),
            Field(
                "admission", \.admission, .choice(), standard: "strict",
                "How guests are admitted: `strict` by the sum of their `memory`; `overcommit` by what they are measured to "
                    + "use, while the host's memory is watched."),
            Field("fail-on", \.failOn, .failOn, "\(Form.failOnText) `[]` turns it off."),
            Field(
                "output-limit", \.outputLimit, .outputLimit, standard: "64MiB",
                "How much of each task's output is kept. The rest is dropped, and a task that expects something of its "
                    + "output is then an error."),
            Field("env", \.env, .environment, "Environment variables of all tasks."),
            Field(
                "matrix", \.matrix, Matrix.form,
                "Axes of values; the lab runs once for each combination, with `${{ matrix.axis }}` filled in."),
        ])
}

extension Form {
    /// A map of things whose names the user chooses.
    static func named<Entry>(_ entry: Form<Entry>, nullAs: (@Sendable () -> Entry)? = nil) -> Form
    where Value == [Named<Entry>] {
        .dictionary(of: entry, keys: Names.schemaPattern, nullAs: nullAs) { name, span, decoding in
            Names.check(name, what: "the key", at: span, decoding)
        }
    }
}

struct NetworkDraft: Draft {
    var place = Place()
    var nat: Bool?
    var host: [UInt16]?

    private static let shape = Shape<NetworkDraft>(
        id: "network", noun: "a network", doc: "An isolated layer-2 segment between guests.",
        fields: [
            Field(
                "nat", \.nat, .boolean, standard: false,
                "Whether guests reach the outside through the host, except services on the host's own 127.0.0.1."),
            Field(
                "host", \.host, .list(of: Form<Int>.integer(1...65535).map { UInt16(clamping: $0) }, allowEmpty: true),
                "TCP and UDP ports of the host's own 127.0.0.1 that guests reach at 10.0.2.2, for a network with `nat`."
            ),
        ])

    static let form: Form<[Named<NetworkDraft>]> = .byKind(
        "a list of names, or a map of names",
        sequence: Form<[Located<String>]>.list(of: Form.name.located).map { names in
            names.map { Named(name: $0.value, nameSpan: $0.span, value: NetworkDraft()) }
        },
        mapping: .named(shape.form(), nullAs: { NetworkDraft() }))
}

struct TimeoutsDraft: Draft {
    var place = Place()
    var boot: Duration?
    var task: Duration?
    var silence: Duration?
    var lab: Duration?
    var grace: Duration?

    static let shape = Shape<TimeoutsDraft>(
        id: "timeouts", noun: "`timeouts`", doc: "How long things may take.",
        fields: [
            Field("boot", \.boot, .duration, standard: "3m", "From power-on to the ready point of one guest."),
            Field("task", \.task, .duration, standard: "10m", "One attempt of a task that has no `timeout`."),
            Field("silence", \.silence, .duration, "A running task that prints nothing for this long has hung."),
            Field("lab", \.lab, .duration, "The whole run."),
            Field(
                "grace", \.grace, .duration, standard: "30s",
                "How long a run that is interrupted, or whose time is up, may take for `if: always()` and `get`."),
        ])
}
