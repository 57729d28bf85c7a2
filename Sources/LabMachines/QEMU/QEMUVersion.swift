/// A version of QEMU.
public struct QEMUVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The first number.
    public var major: Int
    /// The second number.
    public var minor: Int

    /// A version as given.
    public init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// From what `--version` prints: `QEMU emulator version 7.2.22 (Debian …)`; nil when it is not there.
    init?(parsing text: String) {
        guard let range = text.firstRange(of: "version ") else { return nil }
        let numbers = text[range.upperBound...].prefix { $0.isNumber || $0 == "." }.split(separator: ".")
        guard numbers.count >= 2, let major = Int(numbers[0]), let minor = Int(numbers[1]) else { return nil }
        self.init(major: major, minor: minor)
    }

    /// By major, then minor number.
    public static func < (left: QEMUVersion, right: QEMUVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    /// `7.2`.
    public var description: String { "\(major).\(minor)" }
}
