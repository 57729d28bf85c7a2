import Patterns
import Quantities

struct TaskDraft: Draft {
    var place = Place()
    var name: Located<String>?
    var on: [Located<String>]?
    var run: String?
    var script: Located<String>?
    var lua: LuaText?
    var shell: String?
    var user: Located<String>?
    var cwd: Located<String>?
    var stdin: InputDraft?
    var stderr: ErrorStream?
    var expect: Expectation?
    var timeout: Duration?
    var retries: RetryDraft?
    var repeats: Int?
    var needs: [Located<String>]?
    var condition: TaskCondition?
    var env: [Named<String>]?
    var put: [Named<PutDraft>]?
    var get: [GetDraft]?
    var reboot: Bool?
    var reset: TaskReset?
    var failOn: [TroubleKind]?
    var outputLimit: ByteCount?

    static let shape = Shape<TaskDraft>(
        id: "task", noun: "a task", doc: "Something to do on guests.",
        fields: [
            Field(
                "name", \.name, Form.name.located, required: "name: …",
                "Names the task in results and in `needs`; unique."),
            Field(
                "on", \.on, .listOrOne(of: Form<String>.filled("a guest, a group or `any <group>`").located),
                "Where it runs: a guest, a group (each of its guests), `any <group>` (whichever is free), or a list. "
                    + "Left out: on every guest."),
            Field(
                "run", \.run, .filled("a command"),
                "Commands for the guest's shell: `sh -e`, which stops at the first failing line, or cmd.exe."),
            Field(
                "script", \.script, .path,
                "A script file on the host, run by the interpreter of its `#!` line, or else like `run`."),
            Field("lua", \.lua, .lua, "Lua, or the path of a `.lua` file."),
            Field("shell", \.shell, .shell, Form.shellDocumentation),
            Field(
                "user", \.user, Form<String>.user.located,
                "The user of a Linux guest that runs `run` or `script`, with the user's home, shell and groups; starts in the home."
            ),
            Field(
                "cwd", \.cwd, Form<String>.line("a folder in the guest").located,
                "The folder in the guest that `run` or `script` starts in, an absolute path."),
            Field(
                "stdin", \.stdin, InputDraft.form,
                "The standard input of `run` or `script`: a text, or a file on the host, of at most 64 MiB; empty by default."
            ),
            Field(
                "stderr", \.stderr, .choice(), standard: "merged",
                "`separate` keeps standard error in a file of its own too, `stderr` beside `output`; so does `expect: {stderr: …}`. "
                    + "Its order relative to standard output in `output` is then approximate. Linux guests only."),
            Field("expect", \.expect, .expectation, "What makes it pass; by default exit status 0."),
            Field("timeout", \.timeout, .duration, "How long one attempt may take; by default `timeouts.task`."),
            Field(
                "retries", \.retries, RetryDraft.form, standard: 0,
                "How often to retry after an infrastructure error."),
            Field(
                "repeat", \.repeats, .integer(1...Limits.repetitions), standard: 1,
                "How many times it runs; `VMLAB_INDEX` counts from 1."),
            Field(
                "needs", \.needs, .listOrOne(of: Form.name.located),
                "Tasks that must have passed everywhere before this one starts."),
            Field("if", \.condition, .condition, "`always()`: run even if a task that it needs did not pass."),
            Field("env", \.env, .environment, "Environment variables, in addition to the guest's."),
            Field(
                "put", \.put, PutDraft.entries,
                "Files and folders copied into the guest before it runs: host path to absolute guest path. A link "
                    + "given as the path is followed; links inside a folder stay links unless `links: follow` is set."),
            Field(
                "get", \.get, .listOrOne(of: GetDraft.form),
                "Absolute guest paths, or patterns such as `/root/*.log`, collected after it has run, even if it failed. `*` "
                    + "and `?` match within a name, `[a-z]` one character, `**` any number of folders."
            ),
            Field("reboot", \.reboot, .boolean, standard: false, "Whether the guest is rebooted after it."),
            Field(
                "reset", \.reset, .choice(), standard: "none",
                "The guest's state for each run: `snapshot`, as when it had just come up; `none`, as earlier tasks left "
                    + "it."),
            Field("fail-on", \.failOn, .failOn, "\(Form.failOnText) By default the lab's; `[]` turns it off."),
            Field(
                "output-limit", \.outputLimit, .outputLimit,
                "How much of its output is kept; by default the lab's `output-limit`."),
        ],
        exclusive: [["run", "script", "lua"]], atLeastOne: ["run", "script", "lua", "put", "get", "reboot"])
}

/// What `stdin:` says: a text, or a map with `file`.
struct InputDraft: Draft {
    var place = Place()
    var text: String?
    var file: Located<String>?

    private static let shape = Shape<InputDraft>(
        id: "stdin", noun: "`stdin`", doc: "A file on the host that a task reads.",
        fields: [
            Field("file", \.file, .path, required: "file: ./input", "A file on the host; relative to the lab's folder.")
        ])

    static let form: Form<InputDraft> = .byKind(
        "a text, or a map with `file`", scalar: Form<String>.text.alone(\.text), mapping: shape.form())
}

/// Where an entry of `put:` goes.
struct PutDraft: Draft {
    var place = Place()
    var to: Located<String>?
    var links: LinkCopy?
    var ignore: IgnoreRules?

    private static let path = Form<String>.line("a path in the guest").located
    private static let shape = Shape<PutDraft>(
        id: "put", noun: "a copy", doc: "Where a file or folder goes, and how.",
        fields: [
            Field(
                "to", \.to, path, required: "to: /root/",
                "An absolute path in the guest; with a trailing `/`, the folder that gets the copy."),
            Field(
                "links", \.links, .choice(), standard: "keep",
                "How symbolic links inside a folder are copied: `keep` as links, `follow` as what they point to."
            ),
            Field(
                "ignore", \.ignore, .choice(),
                "`git`: of a folder in a git checkout only the files that git tracks or would, without `.git` and what "
                    + "`.gitignore` names."),
        ])

    /// The keys that say how the copy is made.
    static let manner = ["links", "ignore"]

    static let form: Form<PutDraft> = .byKind(
        "a path in the guest, or a map with `to`, `links` and `ignore`",
        scalar: path.alone(\.to), mapping: shape.form())

    /// Where each of several host paths goes.
    static let entries = Form<[Named<PutDraft>]>.dictionary(of: form, keys: "\\S", example: "{./file: /root/file}") {
        path, span, decoding in
        if path.contains(where: { !$0.isWhitespace }) { return true }
        decoding.error("a copy has an empty path", remedy: "name a file or a folder", at: span)
        return false
    }
}

/// An entry of `get:`.
struct GetDraft: Draft {
    var place = Place()
    var path: Located<String>?
    var limit: ByteCount?

    private static let pathForm = Form<String>.line("a path in the guest").located
    private static let shape = Shape<GetDraft>(
        id: "get", noun: "a collection", doc: "What to collect, and its largest size.",
        fields: [
            Field(
                "path", \.path, pathForm, required: "path: /root/out", "An absolute path in the guest, or a pattern."),
            Field(
                "limit", \.limit, .size(atLeast: ByteCount(1)), standard: "4GiB",
                "The largest total size of its files, including holes."),
        ])

    static let form: Form<GetDraft> = .byKind(
        "a path in the guest, or a map with `path` and `limit`",
        scalar: pathForm.alone(\.path), mapping: shape.form())
}

extension Form where Value == String {
    /// The name of a guest's user.
    static let user: Form = {
        var form = text("a user's name such as `nobody`").then { text, node, decoding -> String? in
            if Names.isUser(text) { return text }
            return decoding.refuse(
                "\(text.quoted()) cannot be the name of a user",
                remedy: "write letters, digits, `_`, `.` and `-`, at most 32 of them", at: node.span)
        }
        form.schema = form.schema.adding("pattern", .string(Names.userSchemaPattern))
        return form
    }()

    /// A program and its arguments that run scripts.
    static let shell = line("a shell such as `bash`, or a program with its arguments")

    static let shellDocumentation =
        "The program that runs `run` and `script` on guests with a POSIX shell, instead of `sh -e`; `{0}` is the script's file, "
        + "such as in `python3 -u {0}`. `sh` continues after a failing line; `bash` means `bash -eo pipefail`."
}

struct RetryDraft: Draft {
    var place = Place()
    var count: Int?
    var on: RetryReason?

    private static let number = Form.integer(0...100)
    private static let shape = Shape<RetryDraft>(
        id: "retries", noun: "`retries`", doc: "How often and when a task is retried.",
        fields: [
            Field("count", \.count, number, required: "count: 1", "How many more attempts."),
            Field("on", \.on, .choice(), standard: "infrastructure", "`any`: also after the task's own failure."),
        ])

    static let form: Form<RetryDraft> = .byKind(
        "a whole number, or a map with `count` and `on`",
        scalar: number.alone(\.count), mapping: shape.form())
}

/// What `expect:` says as a map.
private struct ExpectDraft: Draft {
    var place = Place()
    var exit: [Int32]?
    var stdout: [Pattern]?
    var stderr: [Pattern]?
    var lua: LuaText?

    static let shape = Shape<ExpectDraft>(
        id: "expect", noun: "`expect`", doc: "What makes a task pass.",
        fields: [
            Field("exit", \.exit, .listOrOne(of: .exitStatus), standard: 0, "The exit statuses that pass."),
            Field(
                "stdout", \.stdout, .listOrOne(of: .pattern),
                "Regular expressions that must all match somewhere in the output; `^` and `$` match at line ends."),
            Field(
                "stderr", \.stderr, .listOrOne(of: .pattern),
                "The same for standard error, which is then kept apart; `\\A\\z` matches when there is none."),
            Field(
                "lua", \.lua, .lua,
                "A Lua predicate over `exit`, `output` and, where it is kept apart, `stderr`, such as `#output > 10`, that must be true."
            ),
        ], atLeastOne: ["exit", "stdout", "stderr", "lua"])
}

extension Form where Value == LuaText {
    /// Lua; a block begins in the line after its sign.
    static let lua = Form<String>.filled("Lua").then { text, node, _ in
        LuaText(text, line: node.span.start.line + (node.scalar?.isBlock == true ? 1 : 0), span: node.span)
    }
}

extension Form where Value == Int32 {
    /// A status of 32 bits; Windows' may be written unsigned or in hexadecimal, `0xC0000005`.
    static let exitStatus = Form<Int>.integer(Int(Int32.min)...Int(UInt32.max), hexadecimal: true)
        .map { Int32(truncatingIfNeeded: $0) }
}

extension Form where Value == Expectation {
    /// A map, or for short an exit status, or a regular expression for the output.
    static let expectation: Form = {
        let pattern = Form<Pattern>.pattern
        let word = Form<Expectation>(
            schema: ["anyOf": [Form<Int32>.exitStatus.schema, pattern.schema]],
            definitions: Form<Int32>.exitStatus.definitions, noun: "an exit status or a regular expression"
        ) { node, decoding in
            if let scalar = node.scalar, scalar.isPlain, Form<Int>.parse(scalar.text, hexadecimal: true) != nil {
                return Form<Int32>.exitStatus.decode(node, decoding).map { Expectation(exit: [$0]) }
            }
            return pattern.decode(node, decoding).map { Expectation(stdout: [$0]) }
        }
        return .byKind(
            "an exit status, a regular expression, or a map with `exit`, `stdout`, `stderr` and `lua`", scalar: word,
            mapping: ExpectDraft.shape.form().map {
                Expectation(
                    exit: $0.exit ?? [0], stdout: $0.stdout ?? [], stderr: $0.stderr ?? [], predicate: $0.lua)
            })
    }()
}

extension Form where Value == [TroubleKind] {
    /// A list of kinds, which may be empty, or one.
    static let failOn: Form = {
        let kind = Form<TroubleKind>.choice()
        return .byKind(
            "\(kind.noun), or a list of those", scalar: kind.map { [$0] }, sequence: .list(of: kind, allowEmpty: true))
    }()

    /// What the key means, but for the defaults.
    static let failOnText =
        "Kernel reports on a guest's console that fail the running task, or the next one. By default all kinds but "
        + "`warning`, `oom` and `kcsan`."
}

extension Form where Value == ByteCount {
    static let outputLimit = size(atLeast: ByteCount(1 << 10))
}

extension Form where Value == TaskCondition {
    static let condition = scalar("`always()`", schema: ["const": "always()"]) { scalar, node, decoding in
        if scalar.text == "always()" { return TaskCondition.always }
        return decoding.wrongKind(
            node, wanted: "`always()`", remedy: "leave `if` out to run after what it `needs` has passed")
    }
}
