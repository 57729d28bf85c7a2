import Foundation
import JSON
import Testing

@Suite("JSON values")
struct ValueTests {
    @Test("A value prints in one line, members as they were written, and reads back as itself")
    func printing() throws {
        let value: JSONValue = [
            "b": [1, -2.5, true, .null], "a": "x/\"\\\n\r\t\u{1}\u{1f}é😀", "": [:], "c": 1e300,
        ]
        #expect(
            value.line
                == #"{"b":[1,-2.5,true,null],"a":"x/\"\\\n\r\t\u0001\u001fé😀","":{},"c":1e+300}"#)
        #expect(try JSONValue(parsing: value.line) == value)
        #expect(JSONValue.array([.number(.infinity), .number(.nan)]).line == "[null,null]")
    }

    @Test("Accessors give what is there, and nil for everything else")
    func accessors() {
        let value: JSONValue = ["text": "t", "whole": 7, "truth": false, "list": [1, 2]]
        #expect(value["text"]?.stringValue == "t")
        #expect(value["whole"]?.integerValue == 7)
        #expect(value["truth"]?.boolValue == false)
        #expect(value["list"]?[1] == 2)
        #expect(value["list"]?[2] == nil && value["list"]?[-1] == nil)
        #expect(value["none"] == nil && value[0] == nil && value["text"]?["x"] == nil)
        #expect(
            value["text"]?.integerValue == nil && value["whole"]?.stringValue == nil && value["whole"]?.boolValue == nil
        )
        #expect(JSONValue.number(1.5).integerValue == nil)
    }

    @Test("Members keep their order; objects with the same members are equal in whatever order")
    func objects() {
        var object: JSONObject = ["b": 1, "a": nil, "c": 2, "b": 3]
        #expect(object.keys == ["b", "c"] && object["b"] == 3)
        object["a"] = 4
        object["c"] = nil
        #expect(object.keys == ["b", "a"])
        #expect(object == ["a": 4, "b": 3] && Set([object, ["a": 4, "b": 3]]).count == 1)
        #expect(object != ["a": 4] && object != ["a": 4, "b": 4] && object != ["a": 4, "c": 3])
        #expect((object + ["b": 5, "d": 6]).keys == ["b", "a", "d"] && (object + ["b": 5])["b"] == 5)
    }

    @Test("What people read is indented, what is short stays on one line")
    func pretty() {
        let value: JSONValue = [
            "short": [1, ["a": true]], "long": .string(String(repeating: "x", count: 100)), "list": [[], [:]],
        ]
        #expect(
            value.pretty
                == "{\n  \"short\": [1, {\"a\": true}],\n  \"long\": \"\(String(repeating: "x", count: 100))\",\n  \"list\": [[], {}]\n}"
        )
    }
    @Test("Indented it is as Foundation's encoder writes it")
    func indented() throws {
        struct Sample: Encodable {
            var text = String(String.UnicodeScalarView((0...0x2100).compactMap { Unicode.Scalar($0) }))
            var numbers = [0, 1.5, -2, 1e-7, 123_456_789.25, 1e300]
            var list: [[String: Int]] = [[:], ["a": 1, "ab": 2, "B": 3]]
            var none: [Int] = []
        }
        let sample = Sample()
        let value: JSONValue = [
            "text": .string(sample.text), "numbers": .array(sample.numbers.map(JSONValue.number)),
            "list": [[:], ["ab": 2, "a": 1, "B": 3]], "none": [],
        ]
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        #expect(value.indented() == String(decoding: try encoder.encode(sample), as: UTF8.self))
    }
}
