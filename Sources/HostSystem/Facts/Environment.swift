import Glibc

/// The process's environment variables.
public enum Environment {
    /// The value of one variable; nil when it is not set or empty.
    public static subscript(_ name: String) -> String? {
        guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
        return value
    }

    /// The folder of temporary files: `$TMPDIR` or `/tmp`.
    public static var temporaryFolder: String { self["TMPDIR"] ?? "/tmp" }

    /// All of them.
    public static var all: [String: String] {
        var result: [String: String] = [:]
        for line in ambient {
            guard let equals = line.firstIndex(of: "=") else { continue }
            result[String(line[..<equals])] = String(line[line.index(after: equals)...])
        }
        return result
    }

    /// All of them as `NAME=value`.
    static var ambient: [String] {
        var lines: [String] = []
        var pointer = environ
        while let line = pointer.pointee {
            lines.append(String(cString: line))
            pointer += 1
        }
        return lines
    }
}
