import Hashing
import LabSpec
import Quantities

/// How one image of the catalog is made: a shell script with a header, and the files it uses.
///
/// The header is the script's leading comment lines of the form `# key: value`; `Recipes/debian.sh` shows all keys.
package struct Recipe: Sendable {
    package let name: String
    package let os: GuestOS
    package let console: ConsoleSpec
    /// The script, run by bash.
    package let script: [UInt8]
    /// The support files that the script names, by file name.
    package let support: [String: [UInt8]]
    /// Debian packages it is made of.
    package let packages: [String]
    /// Programs of the host that it runs, each with its Debian package.
    package let tools: [String: String]
    package let cmdline: String
    /// RAM when the lab says nothing.
    package let memory: ByteCount
    /// RAM below which it is known not to boot.
    package let minimumMemory: ByteCount
    /// Whether its kernel is a program of its own rather than an operating system's.
    package let isFreestanding: Bool
    /// A hash of the script and its files: another key is another image.
    package let key: String

    /// A recipe from its script. Of `files` it keeps those whose names occur in the script or in a file it keeps, so
    /// that whatever the script can use is part of the key.
    ///
    /// A header that says nothing or nonsense about memory means 256 MiB, at least 64.
    package init(
        name: String, os: GuestOS = .linux, console: ConsoleSpec = ConsoleSpec(), script: [UInt8],
        files: [String: [UInt8]] = [:]
    ) {
        self.name = name
        self.os = os
        self.console = console
        self.script = script
        support = Self.used(by: script, of: files)
        let header = Self.header(String(decoding: script, as: UTF8.self))
        packages = (header["packages"] ?? "").split(separator: " ").map(String.init)
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

        var hash = SHA256()
        for (name, bytes) in [("", script)] + support.sorted(by: { $0.key < $1.key }) {
            hash.update(Array("\(name) \(bytes.count)\n".utf8))
            hash.update(bytes)
        }
        key = String(hash.finish().prefix(16))
    }

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
    /// Without blanks at either end.
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
