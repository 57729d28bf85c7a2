/// 128 random bits as 32 hexadecimal digits: what makes a marker impossible to meet by chance.
public struct Nonce: Sendable, Hashable, CustomStringConvertible {
    /// The digits.
    public let description: String

    /// A fresh one from the system's generator.
    public init() {
        var generator = SystemRandomNumberGenerator()
        self.init(high: generator.next(), low: generator.next())
    }

    /// The one of these bits, for tests.
    public init(high: UInt64, low: UInt64) {
        description = Self.digits(high) + Self.digits(low)
    }

    /// Both halves. Text sent to a guest has them separate, so that its echo does not match.
    var halves: (Substring, Substring) { (description.prefix(16), description.suffix(16)) }

    private static func digits(_ bits: UInt64) -> String {
        let text = String(bits, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}
