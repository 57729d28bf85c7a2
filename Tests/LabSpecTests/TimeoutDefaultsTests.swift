import Quantities
import Testing

@testable import LabSpec

@Suite struct TimeoutDefaultsTests {
    /// The schema's words for the defaults are the values that decoding takes.
    @Test func theSchemaNamesTheRealDefaults() throws {
        let standard = Timeouts()
        for (key, value) in [("boot", standard.boot), ("task", standard.task)] {
            let field = try #require(TimeoutsDraft.shape.fields.first { $0.name == key })
            guard case .string(let text)? = field.standard else { return #expect(Bool(false)) }
            #expect(try Quantity.duration(text) == value)
        }
    }
}
