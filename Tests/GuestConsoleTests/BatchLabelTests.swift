import Testing

@testable import GuestConsole

@Suite struct BatchLabelTests {
    @Test(
        "a batch file gets a place for each label that is named in it and is nowhere",
        arguments: [
            ("goto nowhere", ["nowhere"]), ("GOTO :NoWhere", ["nowhere"]), ("goto:x", ["x"]),
            ("call :sub a b", ["sub"]),
            ("if 1==1 (goto a) else goto b", ["a", "b"]), ("echo x&goto c&echo y", ["c"]), ("@goto d 2>nul", ["d"]),
            ("(\r\ngoto e\r\n)", ["e"]), ("goto f\r\ngoto f\r\n:g", ["f"]), ("goto eof\n:eof", []),
            ("goto :eof", []), ("goto a\n: A comment", []), (":b\r\ngoto b\r\n", []), ("call other.bat\ncall x", []),
            ("goto %X%", []), ("goto a%1", []), ("goto", []), ("", []), ("echo it's\r\nver", []),
        ])
    func labels(script: String, missing: [String]) throws {
        let text = BatchLabels.missing(in: script)
        let places = text.split(separator: "\r\n").filter { $0.hasPrefix(":") }.map { String($0.dropFirst()) }
        #expect(places == missing)
        #expect(text.isEmpty == missing.isEmpty)
        let file = String(decoding: try CmdShell.batchFile(GuestCommand(script)), as: UTF8.self)
        #expect(file.hasSuffix(text) || text.isEmpty)
        if !missing.isEmpty { #expect(text.hasPrefix("@goto :eof\r\n")) }
    }
}
