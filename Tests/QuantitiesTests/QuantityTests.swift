import Quantities
import Testing

@Suite struct QuantityTests {
    @Test(arguments: [
        ("90s", 90_000), ("5m", 300_000), ("1h", 3_600_000), ("500ms", 500), ("1h30m", 5_400_000),
        ("1d2h3m4s5ms", 93_784_005), ("365d", 31_536_000_000),
    ])
    func duration(_ text: String, _ milliseconds: Int) throws {
        #expect(try Quantity.duration(text) == .milliseconds(milliseconds))
    }

    @Test(arguments: [
        "", "5", "s", "5x", "5 m", "1.5h", "30m1h", "1m1m", "-5m", "0s", "0m0s", "366d", "99999999999999999999s",
        "9223372036854775807d", "5m ", "５m",
    ])
    func notADuration(_ text: String) {
        #expect(throws: Quantity.Refusal.self) { try Quantity.duration(text) }
    }

    private static let sizes: [(String, UInt64)] = [
        ("512MiB", 512 << 20), ("5GiB", 5 << 30), ("512M", 512 << 20), ("5G", 5 << 30), ("64KiB", 64 << 10),
        ("2TiB", 2 << 40), ("1.5GiB", 3 << 29), ("300B", 300), ("5g", 5 << 30), ("1024T", 1 << 50),
    ]

    @Test(arguments: sizes)
    func size(_ text: String, _ bytes: UInt64) throws {
        #expect(try Quantity.size(text) == ByteCount(bytes))
    }

    @Test(arguments: [
        "", "5", "MiB", "5MB", "5 GiB", "-5G", "1.G", ".5G", "1.2.3G", "5X", "1025T", "99999999999999999999G", "1e3M",
        "1.0000000G",
    ])
    func notASize(_ text: String) {
        #expect(throws: Quantity.Refusal.self) { try Quantity.size(text) }
    }

    @Test func aBareNumberIsAskedForItsUnit() {
        let duration = #expect(throws: Quantity.Refusal.self) { try Quantity.duration("90") }
        #expect(duration?.remedy == "write `90s`, `90m` or `90h`")
        let size = #expect(throws: Quantity.Refusal.self) { try Quantity.size("512") }
        #expect(size?.remedy == "write `512MiB` or `512GiB`")
        let decimal = #expect(throws: Quantity.Refusal.self) { try Quantity.size("5GB") }
        #expect(decimal?.remedy == "did you mean `5GiB`?")
    }

    @Test(
        "Limits are written as people write them, ages in one unit",
        arguments: [
            (.seconds(90), "90s", "1 min"), (.milliseconds(1500), "1.5s", "1 s"), (.seconds(300), "5m", "5 min"),
            (.seconds(7200), "2h", "2 h"), (.zero, "0s", "0 s"), (.seconds(86_400 * 3 + 7), "259207s", "3 d"),
        ] as [(Duration, String, String)])
    func durations(_ duration: Duration, _ notation: String, _ roughly: String) {
        #expect(duration.notation == notation && duration.roughly == roughly)
    }

    @Test(
        "Measured seconds",
        arguments: [
            (0.0, "0.00 s"), (0.1234, "0.12 s"), (9.99, "9.99 s"), (9.996, "10.0 s"), (59.96, "1m 00s"),
            (61.4, "1m 01s"),
            (3599.6, "1h 00m"), (7380, "2h 03m"), (.nan, "-"), (-1, "0.00 s"), (.infinity, "-"),
        ] as [(Double, String)])
    func measured(_ seconds: Double, _ text: String) {
        #expect(durationText(seconds) == text)
    }

    @Test func decimals() {
        #expect(fixed(-0.0004, 3) == "0.000")
        #expect(fixed(-1.5, 2) == "-1.50")
        #expect(fixed(1e300, 2) == "-")
    }

    @Test func sizesAsText() {
        #expect(ByteCount(5 << 30).description == "5GiB" && ByteCount(1536 << 20).description == "1.5GiB")
        #expect(ByteCount(300).description == "300B" && ByteCount(0).description == "0B")
    }
}
