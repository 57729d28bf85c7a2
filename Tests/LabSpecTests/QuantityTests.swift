import Testing

@testable import LabSpec

@Suite struct QuantityTests {
    @Test(arguments: [
        ("90s", 90_000), ("5m", 300_000), ("1h", 3_600_000), ("500ms", 500), ("1h30m", 5_400_000),
        ("1d2h3m4s5ms", 93_784_005), ("365d", 31_536_000_000),
    ])
    func duration(_ text: String, _ milliseconds: Int) throws {
        #expect(try Quantities.duration(text) == .milliseconds(milliseconds))
    }

    @Test(arguments: [
        "", "5", "s", "5x", "5 m", "1.5h", "30m1h", "1m1m", "-5m", "0s", "0m0s", "366d", "99999999999999999999s",
        "9223372036854775807d", "5m ", "５m",
    ])
    func notADuration(_ text: String) {
        #expect(throws: Quantities.Refusal.self) { try Quantities.duration(text) }
    }

    private static let sizes: [(String, UInt64)] = [
        ("512MiB", 512 << 20), ("5GiB", 5 << 30), ("512M", 512 << 20), ("5G", 5 << 30), ("64KiB", 64 << 10),
        ("2TiB", 2 << 40), ("1.5GiB", 3 << 29), ("300B", 300), ("5g", 5 << 30), ("1024T", 1 << 50),
    ]

    @Test(arguments: sizes)
    func size(_ text: String, _ bytes: UInt64) throws {
        #expect(try Quantities.size(text) == ByteCount(bytes))
    }

    @Test(arguments: [
        "", "5", "MiB", "5MB", "5 GiB", "-5G", "1.G", ".5G", "1.2.3G", "5X", "1025T", "99999999999999999999G", "1e3M",
        "1.0000000G",
    ])
    func notASize(_ text: String) {
        #expect(throws: Quantities.Refusal.self) { try Quantities.size(text) }
    }

    /// The schema's words for the defaults are the values that decoding takes.
    @Test func theSchemaNamesTheRealDefaults() throws {
        let standard = Timeouts()
        for (key, value) in [("boot", standard.boot), ("task", standard.task)] {
            let field = try #require(TimeoutsDraft.shape.fields.first { $0.name == key })
            guard case .string(let text)? = field.standard else { return #expect(Bool(false)) }
            #expect(try Quantities.duration(text) == value)
        }
    }

    @Test func aBareNumberIsAskedForItsUnit() {
        let duration = #expect(throws: Quantities.Refusal.self) { try Quantities.duration("90") }
        #expect(duration?.remedy == "write `90s`, `90m` or `90h`")
        let size = #expect(throws: Quantities.Refusal.self) { try Quantities.size("512") }
        #expect(size?.remedy == "write `512MiB` or `512GiB`")
        let decimal = #expect(throws: Quantities.Refusal.self) { try Quantities.size("5GB") }
        #expect(decimal?.remedy == "did you mean `5GiB`?")
    }
}
