import JSONText
import Testing

@Suite("JSON values")
struct ValueTests {
    @Test("A value prints in one line, keys in order, and reads back as itself")
    func printing() throws {
        let value: JSONValue = [
            "b": [1, -2.5, true, nil], "a": "x/\"\\\n\r\t\u{1}\u{1f}é😀", "": [:], "c": 1e300,
        ]
        #expect(
            value.line
                == #"{"":{},"a":"x/\"\\\n\r\t\u0001\u001fé😀","b":[1,-2.5,true,null],"c":1e+300}"#)
        #expect(try JSONValue(parsing: value.line) == value)
        #expect(JSONValue.array([.number(.infinity), .number(.nan)]).line == "[null,null]")
    }

    @Test("Accessors give what is there, and nil for everything else")
    func accessors() {
        let value: JSONValue = ["text": "t", "whole": 7, "truth": false, "list": [1, 2]]
        #expect(value["text"]?.text == "t")
        #expect(value["whole"]?.whole == 7)
        #expect(value["truth"]?.truth == false)
        #expect(value["list"]?[1] == 2)
        #expect(value["list"]?[2] == nil && value["list"]?[-1] == nil)
        #expect(value["none"] == nil && value[0] == nil && value["text"]?["x"] == nil)
        #expect(value["text"]?.whole == nil && value["whole"]?.text == nil && value["whole"]?.truth == nil)
        #expect(JSONValue.number(1.5).whole == nil)
    }
}
