import Diagnostics
import Glibc
import HostSystem

/// Files travel to a guest as tar streams, written by GNU tar and read by whatever tar the guest has.
enum TarStream {
    /// Writes the file or folder at `host` to `descriptor` as an archive whose members lie at `guest` (absolute, with a
    /// final slash to place the source inside). Modes, empty folders and symbolic links are kept; owners become root.
    ///
    /// Throws a `Diagnostic` when the source cannot be read or the target cannot be written.
    static func pack(host: String, guest: String, into descriptor: Int32) async throws {
        guard !guest.contains(where: \.isNewline) else {
            throw Diagnostic(.specification, "the guest path \(guest.debugDescription) contains a line break")
        }
        let name = host.split(separator: "/").last.map(String.init) ?? host
        let target = guest.hasSuffix("/") ? guest + name : guest
        let member = sedReplacement(String(target.drop { $0 == "/" }))
        var arguments = [
            "--create", "--no-unquote", "--format=gnu", "--numeric-owner", "--owner=0", "--group=0", "--file=-",
        ]
        if try isFolder(host) {
            // Members are `.`, `./a`, …: the leading dot becomes the target.
            arguments += ["--transform=flags=rhS;s|^\\.|\(member)|", "--directory=\(host)", "."]
        } else {
            let folder = host.dropLast(name.count)
            arguments += [
                "--transform=flags=rS;s|^.*$|\(member)|", "--directory=\(folder.isEmpty ? "." : String(folder))",
                "./\(name)",
            ]
        }
        try await tar(arguments, doing: "pack \(host)", output: descriptor)
    }

    private static func tar(
        _ arguments: [String], doing what: String, output: Int32
    ) async throws {
        var environment = Environment.all
        environment["LC_ALL"] = "C"
        try await Tool.run(
            "tar", arguments, package: "tar", environment: environment,
            output: .descriptor(output)
        ).checked("tar could not \(what)", remedy: "see what tar said")
    }

    private static func isFolder(_ path: String) throws -> Bool {
        var status = stat()
        guard stat(path, &status) == 0 else { throw SystemCallError("stat", path).diagnostic("cannot read \(path)") }
        return status.st_mode & S_IFMT == S_IFDIR
    }

    /// Text that stands for itself in the right-hand side of tar's `s|…|…|`.
    private static func sedReplacement(_ text: String) -> String {
        text.map { "\\&|".contains($0) ? "\\\($0)" : String($0) }.joined()
    }
}
