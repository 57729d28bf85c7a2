import Diagnostics
import Patterns
import Quantities

struct ImageDraft: Draft {
    var place = Place()
    var from: Located<String>?
    var start: InitSystem?
    var packages: [Located<String>]?
    var files: [Named<PutDraft>]?
    var setup: String?
    var onClone: String?
    var size: ByteCount?
    var os: GuestOS?
    var kernel: Located<String>?
    var initrd: Located<String>?
    var modules: [Located<String>]?
    var disk: DiskFileDraft?
    var cmdline: String?
    var firmware: Located<String>?
    var agent: Bool?
    var cloudInit: CloudInitDraft?
    var console: ConsoleDraft?
    var memory: ByteCount?

    static let shape = Shape<ImageDraft>(
        id: "image", noun: "an image",
        doc:
            "An image of your own: made from another once and cloned from then on, or a kernel or a disk that you bring.",
        fields: [
            Field(
                "from", \.from, Form.imageName.located,
                "The image that it is made from, such as `debian:13`: one of the catalog, or another of this file. It supplies "
                    + "what is not set here."),
            Field(
                "init", \.start, .choice(), standard: "small",
                "How a whole Debian starts: `small`, a shell within seconds; `systemd`, with its journal and services."),
            Field(
                "packages", \.packages, .listOrOne(of: Form<String>.package.located),
                "Debian packages to install, with what they depend on."),
            Field(
                "files", \.files, PutDraft.entries,
                "Files and folders to copy in: host path to absolute guest path, as in a task's `put`."),
            Field(
                "setup", \.setup, .text("commands"),
                "Commands that are run once, as root, in a guest of this image, after the packages and files are there."
            ),
            Field(
                "on-clone", \.onClone, .text("commands"),
                "Commands that are run as root in each guest that is cloned, once it has its own name and network, before its "
                    + "first task: for services that must notice them."),
            Field("size", \.size, .size(atLeast: .mebibytes(256)), standard: "8GiB", "Size of its root disk."),
            Field("os", \.os, .choice(), "The kind of system; by default that of `from`."),
            Field(
                "kernel", \.kernel, .path,
                "Linux kernel on the host, bzImage or vmlinux; or the name of a catalog image, such as `debian:13`, for its "
                    + "kernel."),
            Field("initrd", \.initrd, .path, "Initial RAM disk on the host."),
            Field(
                "modules", \.modules, .list(of: .path),
                "Kernel modules on the host, `.ko` or compressed, loaded in order once the guest is ready: drivers that a "
                    + "kernel of your own does not have built in."),
            Field(
                "disk", \.disk, DiskFileDraft.form,
                "System disk: a path on the host, or a map of a path or an address; never written to."),
            Field(
                "cmdline", \.cmdline, .line("kernel command line words"),
                "Kernel command line; with `from`, added to its own."),
            Field(
                "firmware", \.firmware, .path,
                "Firmware file on the host. A disk that boots by UEFI gets the host's OVMF by itself."),
            Field(
                "agent", \.agent, .boolean,
                "Whether vmlab installs its agent in a Linux disk that has none, in a copy of it, once: with it guests have a "
                    + "command channel of their own, fast files, networks and clones. By default it does where it can."),
            Field(
                "cloud-init", \.cloudInit, CloudInitDraft.form,
                "What cloud-init does at the disk's first boot, by a seed that vmlab brings: `true`, or a map."),
            Field(
                "console", \.console, ConsoleDraft.form, "How commands reach the guest: a dialect, or a map of details."
            ),
            Field("memory", \.memory, .size(atLeast: .mebibytes(16)), "Default RAM of guests, such as `512MiB`."),
        ], atLeastOne: ["from", "kernel", "disk", "firmware"])
}

/// What an image's `disk:` says.
struct DiskFileDraft: Draft {
    var place = Place()
    var path: Located<String>?
    var format: ImageDisk.Format?
    var url: Located<String>?
    var sha256: Located<String>?

    static let formatHelp =
        "The file's format, detected by default. `raw` attaches any file as it is, such as a disk that a guest has written."

    private static let shape = Shape<DiskFileDraft>(
        id: "diskFile", noun: "a disk image", doc: "A disk image on the host, or one that is fetched once and kept.",
        fields: [
            Field("path", \.path, .path, "The file."),
            Field("format", \.format, .choice(), formatHelp),
            Field("url", \.url, Form<String>.address.located, "An `https://` address to fetch it from."),
            Field(
                "sha256", \.sha256, Form<String>.sha256.located,
                "The SHA-256 of what is fetched: another file is refused."),
        ], atLeastOne: ["path", "url"])

    static let form: Form<DiskFileDraft> = .byKind(
        "a path, or a map of `path` and `format`, or of `url` and `sha256`",
        scalar: Form<Located<String>>.path.alone(\.path), mapping: shape.form())
}

/// What an image's `cloud-init:` says.
struct CloudInitDraft: Draft {
    var place = Place()
    /// `cloud-init: false` is the same as nothing.
    var isWanted: Bool?
    var user: String?
    var password: String?
    var keys: [String]?
    var commands: [String]?

    private static let shape = Shape<CloudInitDraft>(
        id: "cloudInit", noun: "a cloud-init seed", doc: "What cloud-init does at a disk's first boot.",
        fields: [
            Field("user", \.user, .filled("a user name"), "A user to make, who may use sudo."),
            Field("password", \.password, .text("a password"), "The user's password."),
            Field("ssh-keys", \.keys, .listOrOne(of: .line("a key")), "The user's public keys for SSH."),
            Field(
                "runcmd", \.commands, .listOrOne(of: .text("commands")),
                "Commands for its shell, as root, at the end of the first boot."),
        ])

    static let form: Form<CloudInitDraft> = .byKind(
        "`true`, or a map of `user`, `password`, `ssh-keys` and `runcmd`",
        scalar: Form<Bool>.boolean.alone(\.isWanted), mapping: shape.form())
}

struct ConsoleDraft: Draft {
    var place = Place()
    var dialect: ConsoleSpec.Dialect?
    var ports: Int?
    var announces: Bool?
    var prompt: Pattern?
    var user: String?
    var password: String?
    var reactions: [ReactionDraft]?

    private static let dialectForm: Form<ConsoleSpec.Dialect> = .choice()

    private static let shape = Shape<ConsoleDraft>(
        id: "console", noun: "a console", doc: "How commands reach a guest.",
        fields: [
            Field(
                "dialect", \.dialect, dialectForm,
                "The shell's language: `sh`, `cmd` (cmd.exe), `sac` (Windows' EMS console) or `uefi` (the UEFI shell)."),
            Field("ports", \.ports, .integer(1...2), "1: commands share the kernel's console; 2: they use COM2."),
            Field(
                "announces", \.announces, .boolean,
                "Whether the guest prints VMLAB READY on COM2, as catalog images do; if not, vmlab waits for its prompt."
            ),
            Field("prompt", \.prompt, .pattern, "A regular expression for the shell's prompt."),
            Field("user", \.user, .filled("a user name"), "User name, for guests that ask."),
            Field("password", \.password, .text("a password"), "Password, for guests that ask."),
            Field(
                "reactions", \.reactions, .list(of: ReactionDraft.shape.form()),
                "Answers to prompts before the shell is ready, such as a boot loader's menu."),
        ])

    static let form: Form<ConsoleDraft> = .byKind(
        "`sh`, `cmd`, `sac`, `uefi` or a map of details",
        scalar: dialectForm.alone(\.dialect), mapping: shape.form())
}

struct ReactionDraft: Draft {
    var place = Place()
    var expect: Pattern?
    var send: String?
    var times: Int?

    static let shape = Shape<ReactionDraft>(
        id: "reaction", noun: "a reaction", doc: "An answer to a prompt before the shell is ready.",
        fields: [
            Field(
                "expect", \.expect, .pattern, required: "expect: 'Press Enter'",
                "A regular expression for the prompt."),
            Field(
                "send", \.send, keys, required: #"send: "\n""#,
                #"What to type, literally: `"\n"` in double quotes is the Enter key."#),
            Field("times", \.times, .integer(1...1000), "How many times at most; 1 by default."),
        ])

    private static let keys = Form<String>.text("what to type").then { text, node, decoding -> String? in
        if text.isEmpty {
            return decoding.refuse("\(decoding.subject) is empty", remedy: #"the Enter key is `"\n"`"#, at: node.span)
        }
        if text.contains(#"\n"#) {
            decoding.warning(
                "\(decoding.subject) types a backslash and an n", remedy: #"in double quotes `"\n"` is the Enter key"#,
                at: node.span)
        }
        return text
    }
}

extension Form where Value == Located<String> {
    /// A path on the host, relative to the lab file's folder.
    static let path = Form<String>.line("a path").located
}

extension Form where Value == String {
    /// The name of a Debian package, by Debian Policy 5.6.7.
    static let package = Form<String>.line("a package").then { text, node, decoding -> String? in
        let isName =
            text.utf8.count > 1 && text.first != "-" && text.first != "+" && text.first != "."
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"),
                    UInt8(ascii: "-"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
        if isName { return text }
        return decoding.refuse(
            "\(text.quoted()) is not the name of a Debian package",
            remedy: "names have small letters, digits, `+`, `-` and `.`; a version cannot be asked for", at: node.span)
    }
}

extension Form where Value == String {
    /// An address on the web that nobody between can change.
    static let address = Form<String>.line("an address").then { text, node, decoding -> String? in
        let rest = text.dropFirst("https://".count)
        if text.hasPrefix("https://"), let first = rest.first, first != "/", !text.contains(where: \.isWhitespace) {
            return text
        }
        return decoding.refuse(
            "\(text.quoted()) is not an `https://` address",
            remedy: text.hasPrefix("http://")
                ? "write `https://`; what comes without it could be anybody's" : "a file on this host is a `path:`",
            at: node.span)
    }

    /// A SHA-256 in hexadecimal; in lower case.
    static let sha256 = Form<String>.line("a SHA-256").then { text, node, decoding -> String? in
        if text.utf8.count == 64, text.allSatisfy(\.isHexDigit), text.utf8.count == text.count {
            return text.lowercased()
        }
        return decoding.refuse(
            "\(text.quoted()) is not a SHA-256, which has 64 hexadecimal digits",
            remedy: "`sha256sum FILE` prints it; who publishes an image publishes it too", at: node.span)
    }
}

extension Form where Value == Pattern {
    /// A regular expression that compiles.
    static let pattern = Form<String>.text("a regular expression").then { text, node, decoding -> Pattern? in
        // A block's last line end is not meant to be matched.
        let text = node.scalar?.isBlock == true ? String(text.trimmingSuffix(while: \.isNewline)) : text
        do throws(PatternProblem) {
            return try Pattern(text)
        } catch {
            return decoding.refuse(
                "\(text.quoted()) is not a regular expression: \(error)",
                remedy: "Docs/patterns.md has the syntax; `\\` before a character matches it literally",
                at: decoding.place(of: text, in: node.span).from(error.offset, of: text))
        }
    }
}

extension SourceSpan {
    /// The span without its first `offset` characters, if `text` is written there as it is.
    fileprivate func from(_ offset: Int, of text: String) -> SourceSpan {
        let count = text.unicodeScalars.count
        guard start.line == end.line, end.column - start.column == count, count > 0 else { return self }
        return SourceSpan(file: file, line: start.line, columns: (start.column + min(offset, count - 1))..<end.column)
    }
}
