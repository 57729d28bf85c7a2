/// What runs a command's script on a guest with a POSIX shell.
public enum ScriptShell: Sendable, Hashable {
    /// A program and its arguments, as words of the shell. `{0}` is the script's file, which comes last where that is left out.
    /// `bash` alone is what it is on GitHub: it stops at the first line that fails, also within a pipe.
    case named(String)
    /// What the script's first line names, such as `#!/usr/bin/env python3`; the one of this name for a script without.
    case firstLine(orNamed: String)

    /// `sh`, which goes on behind a line that fails: what the host itself has a guest do.
    public static let plain = ScriptShell.named("sh")
    /// What the script's first line names, else `sh -e`, which stops at the first line that fails, as GitHub's `run:` does.
    public static let standard = ScriptShell.firstLine(orNamed: "sh -e")

    /// How a script is started.
    enum Start {
        /// As an argument of `sh`, behind these options.
        case argument(options: String)
        /// As the file `{0}`, by what becomes the program that runs it.
        case file(String)
    }

    func start(_ script: String, called name: String) -> Start {
        switch self {
        case .firstLine(let other):
            if let line = Shebang(script) { return .file(line.start(name)) }
            return ScriptShell.named(other).start(script, called: name)
        case .named(let text):
            switch text.split(separator: " ").joined(separator: " ") {
            case "sh": return .argument(options: "-c")
            case "sh -e": return .argument(options: "-ec")
            case "bash": return .file("exec bash --noprofile --norc -eo pipefail {0}")
            case let words: return .file("exec \(words)" + (words.contains("{0}") ? "" : " {0}"))
            }
        }
    }
}

/// A script's first line that names its interpreter. Unlike in Linux itself, which passes one argument, each word is an argument.
struct Shebang {
    private let words: [Substring]

    /// Nil for a script that names none.
    init?(_ script: String) {
        guard script.hasPrefix("#!") else { return nil }
        words = script.dropFirst(2).prefix { $0 != "\n" }.split { $0 == " " || $0 == "\t" }
        if words.isEmpty { return nil }
    }

    /// Executes the interpreter of the file `{0}`, or prints that there is none.
    func start(_ name: String) -> String {
        let quoted = words.map { self.quoted($0) }
        let complaint = self.quoted("\(name): this guest has no \(words[0]), which the script's first line names")
        return "command -v \(quoted[0]) >/dev/null||{ echo \(complaint);exit 127;};"
            + "exec \(quoted.joined(separator: " ")) {0}"
    }

    private func quoted(_ text: some StringProtocol) -> String {
        String(decoding: POSIXShell.quoted(Array(text.utf8)), as: UTF8.self)
    }
}

extension String {
    /// A script's text as every interpreter accepts it: without a byte order mark, with line feeds as line ends.
    var asScript: String {
        var bytes = Array(utf8)
        let mark: [UInt8] = [0xef, 0xbb, 0xbf]
        guard bytes.contains(13) || bytes.starts(with: mark) else { return self }
        if bytes.starts(with: mark) { bytes.removeFirst(mark.count) }
        var kept = 0
        for (index, byte) in bytes.enumerated() {
            if byte == 13, index + 1 < bytes.count, bytes[index + 1] == 10 { continue }
            bytes[kept] = byte
            kept += 1
        }
        return String(decoding: bytes[..<kept], as: UTF8.self)
    }
}
