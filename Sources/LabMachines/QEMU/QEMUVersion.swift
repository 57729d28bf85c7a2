package struct QEMUVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var major: Int
    package var minor: Int

    package static func < (left: QEMUVersion, right: QEMUVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    package var description: String { "\(major).\(minor)" }
}

extension QEMUVersion {
    /// Parses the output of `--version`: `QEMU emulator version 7.2.22 (Debian …)`; nil when there is no version in it.
    init?(parsing text: String) {
        guard let range = text.firstRange(of: "version ") else { return nil }
        let numbers = text[range.upperBound...].prefix { $0.isNumber || $0 == "." }.split(separator: ".")
        guard numbers.count >= 2, let major = Int(numbers[0]), let minor = Int(numbers[1]) else { return nil }
        self.init(major: major, minor: minor)
    }
}
