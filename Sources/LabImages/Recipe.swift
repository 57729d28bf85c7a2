import Hashing
import LabSpec
import Quantities

/// How files of an image are built: a shell script with a header, and its support files. The header is the script's leading comment
/// lines of the form `# key: value`; `Recipes/busybox.sh` shows all keys.
package struct Recipe: Sendable {
    /// The name of what it makes, in messages and in the cache's folder.
    package let name: String
    package let os: GuestOS
    package let console: ConsoleSpec
    /// The script, for bash.
    package let script: [UInt8]
    /// The support files that the script uses, by file name.
    package let support: [String: [UInt8]]
    /// The Debian packages it uses.
    let packages: PackageRequest
    /// Those of the packages that are not the header's.
    let additions: [String]
    /// The release of Debian that these are of; nil for the host's own.
    let release: DebianRelease?
    /// What the script is told in variables of its environment.
    let variables: [String: String]
    /// The host programs it runs, with their Debian packages.
    package let tools: [String: String]
    package let cmdline: String
    /// The default RAM.
    package let memory: ByteCount
    /// RAM below which it is known not to boot.
    package let minimumMemory: ByteCount
    /// Whether its kernel is a bare-metal program rather than an operating system's.
    package let isFreestanding: Bool
    /// Whether it makes a disk that guests write to.
    let hasDisk: Bool
    /// The program of its guests that ends them in order when told `poweroff` or `reboot`; nil for the usual way.
    let shutdown: String?
    /// A hash of all that goes in but the packages' versions: another key means another image.
    package let key: String

    /// Parses a script. Keeps those of `files` whose names occur in the script or in a kept file, so that everything the script can
    /// use is part of the key. `isSystem` makes the header's packages and the additions a whole system. A missing or malformed
    /// memory header means 256 MiB, at least 64.
    package init(
        name: String, os: GuestOS = .linux, console: ConsoleSpec = ConsoleSpec(), script: [UInt8],
        files: [String: [UInt8]] = [:], release: DebianRelease? = nil, adding additions: [String] = [],
        isSystem: Bool = false, variables: [String: String] = [:]
    ) {
        self.name = name
        self.os = os
        self.console = console
        self.script = script
        self.release = release
        self.variables = variables
        support = Self.used(by: script, of: files)
        let header = Self.header(String(decoding: script, as: UTF8.self))
        let named = (header["packages"] ?? "").split(separator: " ").map(String.init)
        self.additions = additions
        packages = isSystem ? .system(named + additions) : .these(named + additions)
        var tools: [String: String] = [:]
        for word in (header["tools"] ?? "").split(separator: " ") {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            tools[parts[0]] = parts.count > 1 ? parts[1] : parts[0]
        }
        self.tools = tools
        cmdline = header["cmdline"] ?? ""
        memory = header["memory"].flatMap(ByteCount.init(parsing:)) ?? .mebibytes(256)
        minimumMemory = header["minimum-memory"].flatMap(ByteCount.init(parsing:)) ?? .mebibytes(64)
        isFreestanding = header["freestanding"] == "yes"
        hasDisk = isSystem || header["disk"] == "yes"
        shutdown = header["shutdown"]

        var hash = SHA256()
        for (name, bytes) in [("", script)] + support.sorted(by: { $0.key < $1.key }) {
            hash.update(Array("\(name) \(bytes.count)\n".utf8))
            hash.update(bytes)
        }
        let facts =
            [release?.rawValue ?? ""] + variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            + additions
        for fact in facts where !fact.isEmpty { hash.update(Array("\(fact)\n".utf8)) }
        key = String(hash.finish().prefix(16))
    }

    /// What it adds to its script's own packages, in words.
    var variant: String { additions.isEmpty ? "another form" : additions.joined(separator: " ") }

    private static func used(by script: [UInt8], of files: [String: [UInt8]]) -> [String: [UInt8]] {
        var used: [String: [UInt8]] = [:]
        var unread = [script]
        while let text = unread.popLast().map({ String(decoding: $0, as: UTF8.self) }) {
            for (name, bytes) in files where used[name] == nil && text.contains(name) {
                used[name] = bytes
                unread.append(bytes)
            }
        }
        return used
    }

    /// The value of a header line of a script; nil when it has none.
    static func header(_ key: String, of script: [UInt8]) -> String? {
        header(String(decoding: script, as: UTF8.self))[key]
    }

    private static func header(_ script: String) -> [String: String] {
        var header: [String: String] = [:]
        for line in script.split(separator: "\n").prefix(while: { $0.hasPrefix("#") }) {
            guard line.hasPrefix("# "), let colon = line.firstIndex(of: ":") else { continue }
            let key = line[line.index(line.startIndex, offsetBy: 2)..<colon]
            guard !key.contains(" ") else { continue }
            header[String(key)] = line[line.index(after: colon)...].trimmed
        }
        return header
    }
}

extension Substring {
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
