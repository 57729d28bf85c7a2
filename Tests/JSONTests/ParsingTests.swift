import JSON
import Testing

@Suite("JSON parsing")
struct ParsingTests {
    @Test(
        "Every kind of value",
        arguments: [
            ("null", JSONValue.null), (" true ", true), ("false", false), ("0", 0), ("-0", 0), ("-12", -12),
            ("9223372036854775807", 9_223_372_036_854_775_807), ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("-1.5e2", -150.0), ("1E+2", 100.0), ("5e-300", 5e-300), ("1e-999", 0.0), ("\"\"", ""), ("[]", []),
            ("{}", [:]),
            ("\t[1 ,\r\n [\"a\"], {\"k\" : null}]\n", [1, ["a"], ["k": .null]]),
            ("\"\u{7f} é 😀\"", "\u{7f} é 😀"), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (#""\u0041\u00e9\uD83D\ude00\u0000""#, "Aé😀\0"),
        ] as [(String, JSONValue)])
    func values(text: String, value: JSONValue) throws {
        #expect(try JSONValue(parsing: text) == value)
    }

    @Test(
        "What is not JSON is refused in its place",
        arguments: [
            ("", "1:1: expected a value; the text ends here"),
            ("  nul", "1:3: expected a value"),
            ("\u{feff}1", "1:1: expected a value"),
            ("1 2", "1:3: nothing may follow the value"),
            ("[1,]", "1:4: expected a value"),
            ("[1 2]", "1:4: expected a comma or the array's closing bracket"),
            ("[", "1:2: expected a value; the text ends here"),
            ("{\"a\":1,}", "1:8: expected a key in quotes"),
            ("{\"a\" 1}", "1:6: expected a colon after the key"),
            ("{\"a\":1", "1:7: expected a comma or the object's closing brace; the text ends here"),
            ("{\n  \"é\": 1,\n  \"é\": 2\n}", "3:3: the object has this key already"),
            ("[\"é\", x]", "1:7: expected a value"),
            ("01", "1:1: a number does not begin with 0 and another digit"),
            ("-", "1:2: expected a digit; the text ends here"), ("+1", "1:1: expected a value"),
            (".5", "1:1: expected a value"), ("1.", "1:3: expected a digit; the text ends here"),
            ("1e+", "1:4: expected a digit; the text ends here"), ("1e400", "1:1: the number is too large"),
            ("NaN", "1:1: expected a value"),
            ("\"a", "1:3: expected the string's closing quote; the text ends here"),
            ("\"a\nb\"", "1:3: a control character in a string must be escaped"),
            (#""\x41""#, "1:2: there is no such escape"), (#""\u12g4""#, "1:6: expected four hexadecimal digits"),
            (#""\ud83d""#, "1:2: half a surrogate pair is not a character"),
            (#""\ud83d\u0041""#, "1:2: half a surrogate pair is not a character"),
            (#""\ude00\ud83d""#, "1:2: half a surrogate pair is not a character"),
            (#""\"#, "1:3: expected an escape; the text ends here"),
        ])
    func mistakes(text: String, problem: String) {
        let error = #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: text) }
        #expect(error?.description == problem)
    }

    @Test("Bytes that are not UTF-8 are refused", arguments: [[0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80]])
    func encoding(bytes: [UInt8]) {
        let quoted = [UInt8(ascii: "\"")] + bytes + [UInt8(ascii: "\"")]
        let error = #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: quoted) }
        #expect(error?.reason == "the string is not UTF-8")
    }

    @Test("Depth has its limit, for arrays and objects alike")
    func depth() throws {
        func nested(_ depth: Int, _ open: String, _ close: String) -> String {
            String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
        }
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            _ = try JSONValue(parsing: nested(JSONValue.depthLimit, open, close))
            let error = #expect(throws: JSONSyntaxError.self) {
                try JSONValue(parsing: nested(100_000, open, close))
            }
            #expect(error?.column == JSONValue.depthLimit * open.utf8.count + 1)
        }
    }

    @Test("No input traps: every cut and every flipped byte of a text is read or refused")
    func robustness() {
        let text = Array(#"{"a": [1, -2.5e3, "\u00e9\ud83d\ude00 é", null, true], "b": {"c": false}}"#.utf8)
        for end in text.indices { #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: text[..<end]) } }
        var accepted = 0
        for index in text.indices {
            for bit in 0..<8 {
                var changed = text
                changed[index] ^= 1 << UInt8(bit)
                guard let value = try? JSONValue(parsing: changed) else { continue }
                accepted += 1
                #expect((try? JSONValue(parsing: value.line)) == value)
            }
        }
        #expect(accepted > 0)
    }
}
