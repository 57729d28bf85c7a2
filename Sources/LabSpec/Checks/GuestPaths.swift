import Diagnostics

/// Paths within guests, as labs and scripts name them.
public enum GuestPaths {
    /// What a path is for.
    public enum Use: Sendable {
        /// What is there is collected, under its own name.
        case collected
        /// Anything else.
        case other
    }

    /// An error in a path.
    public struct Problem: Error, Sendable, Hashable {
        /// What it is, behind the path: `is not absolute`.
        public var what: String
        /// What to do.
        public var remedy: String
    }

    /// Why a path is none that a guest can be asked for; nil for one that is: `/…` or `C:\…`.
    public static func problem(_ path: String, for use: Use = .other) -> Problem? {
        let bytes = Array(path.utf8)
        if bytes.contains(0) { return Problem(what: "has a NUL byte", remedy: "no path has one") }
        let isDrive = bytes.count > 2 && isLetter(bytes[0]) && bytes[1] == UInt8(ascii: ":") && isSlash(bytes[2])
        guard isDrive || bytes.first == UInt8(ascii: "/") else {
            return Problem(what: "is not absolute", remedy: "begin it with `/` or `C:\\`")
        }
        guard use == .collected else { return nil }
        let steps = path.split { $0 == "/" || isDrive && $0 == "\\" }.dropFirst(isDrive ? 1 : 0)
        if let dots = steps.first(where: { $0 == "." || $0 == ".." }) {
            return Problem(what: "has the step `\(dots)`", remedy: "name the file or folder without it")
        }
        return steps.isEmpty ? Problem(what: "is the root", remedy: "name a file or a folder in it") : nil
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    private static func isSlash(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "/") || byte == UInt8(ascii: "\\") }

    /// Reports a path with a problem.
    static func check(_ path: Located<String>, for use: Use = .other, key: String, _ decoding: Decoding) {
        guard let problem = problem(path.value, for: use) else { return }
        decoding.error(
            "the path \(path.value.quoted()) of `\(key)` \(problem.what)", remedy: problem.remedy, at: path.span)
    }
}
