import Testing

@Suite("The probe's languages and commands")
struct ProbeShellTests {
    private let machine = FakeMachine()

    /// Runs a script as a process of its own would; returns its output and status.
    private func run(_ script: String, _ language: Shell<FakeMachine>.Language = .sh) -> (String, Int32) {
        let shell = Shell(machine, ProbeFiles(), language)
        machine.beginCommand()
        shell.process {
            if language == .cmd { shell.runBatch(Text(script.utf8)) } else { shell.run(Text(script.utf8)) }
        }
        return (string(machine.takeSaid()), shell.status)
    }

    @Test(
        "sh scripts",
        arguments: [
            ("echo a  b 'c  d'", "a b c  d\n", 0),
            ("false; echo $?", "1\n", 0),
            ("false && echo no; true && echo yes", "yes\n", 0),
            ("false && echo no || echo yes", "yes\n", 0),
            ("true || echo no && echo yes", "yes\n", 0),
            ("A=1; (A=2; echo $A; exit 3) || echo $? $A", "2\n3 1\n", 0),
            ("A='x y'; echo \"$A\" ${A}z \\$A \"\\$A\"", "x y x yz $A $A\n", 0),
            ("echo $UNSET end; echo \"$UNSET\" end", "end\n end\n", 0),
            ("exit 7; echo no", "", 7),
            ("echo one >f; echo two >>f; cat f; (echo three; echo four) >f; cat f", "one\ntwo\nthree\nfour\n", 0),
            ("nosuch 2>/dev/null", "", 127),
            ("nosuch", "sh: nosuch: not found\n", 127),
            ("# nothing\necho a#b # c", "a#b\n", 0),
            ("echo a \\\nb", "a b\n", 0),
            ("sh -c 'exit 5'; echo $?", "5\n", 0),
            ("false; (echo $?); sh -c 'echo $?'", "1\n0\n", 0),
            ("[ a = b ] || [ 2 -gt 1 ] && test ! -z x", "", 0),
            ("printf '%s-%d%%\\n\\101' a 42", "a-42%\nA", 0),
            ("echo a | cat", "a\nsh: syntax error: unexpected \"|\"\n", 2),
            ("(echo a", "sh: syntax error: unexpected end of file\n", 2),
            ("echo a)", "a\nsh: syntax error: unexpected \")\"\n", 2),
            ("sleep x", "invalid number 'x'\n", 1),
            ("spin; echo no", "", 130),
            ("(sleep; echo no); echo no", "", 130),
        ])
    func posix(script: String, output: String, status: Int32) {
        let result = run(script)
        #expect(result == (output, status))
    }

    @Test(
        "A10: a script of a lab stops at its first command that fails",
        arguments: [
            ("false\necho reached", 1), ("nosuch 2>/dev/null; echo reached", 127), ("true && false; echo reached", 1),
            ("false || true\nfalse && true\n(exit 4); echo reached", 4), ("(false; echo reached)", 1),
        ])
    func firstFailure(script: String, status: Int32) {
        let shell = Shell(machine, ProbeFiles(), .sh)
        machine.beginCommand()
        shell.run(Text("v 12345678 '\(script)' '' -ec".utf8))
        #expect(string(machine.takeSaid()) == "\u{1e}12345678+\u{1e}12345678-\(status)\n")
        shell.run(Text("v 12345678 'false\necho reached'".utf8))
        #expect(string(machine.takeSaid()) == "\u{1e}12345678+reached\n\u{1e}12345678-0\n")
    }

    @Test(
        "cmd scripts",
        arguments: [
            ("@echo off\r\necho a   b", "a   b\r\n", 0),
            ("echo %ComputerName%\nset ComputerName=x\necho %COMPUTERNAME%", "lin-7\r\nx\r\n", 0),
            ("echo.\necho", "\r\nECHO is off.\r\n", 0),
            ("set A=1&& echo %A%x\necho %A%%%B%NONE%", "x\r\n1%B\r\n", 0),
            ("set \"A=b & c\"\necho \"%A%\"", "\"b & c\"\r\n", 0),
            ("echo a^&b & echo \"c&d\"", "a&b \r\n\"c&d\"\r\n", 0),
            ("nosuch & echo %ERRORLEVEL%\necho %ERRORLEVEL%", notFound + "0\r\n9009\r\n", 9009),
            ("nosuch >nul 2>&1 || echo failed", "failed\r\n", 9009),
            ("ver >nul && echo worked", "worked\r\n", 0),
            ("if not \"a b\"==\"a b\" exit 1\nif a==a echo same", "same\r\n", 0),
            ("cmd /c exit 3\nif errorlevel 3 echo three", "three\r\n", 3),
            ("nosuch >nul 2>&1\ncmd /c rem\necho %ERRORLEVEL%", "0\r\n", 0),
            ("echo x>C:\\a\\f\ntype c:/a/f\nif exist a\\f exit /b -1", "x\r\n", -1),
            ("echo off> f\nrem no\ntype f", "", 0),
            ("spin 100\necho no", "", -1_073_741_510),
        ])
    func cmd(script: String, output: String, status: Int32) {
        let result = run(script, .cmd)
        #expect(result == (output, status))
    }

    private static let notFound =
        "'nosuch' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n"

    @Test("disks go by letter, number and serial; cksum is POSIX's; a write stays within the disk")
    func disks() {
        machine.contents = [
            (Text("one"), Text(repeating: 65, count: 1024)),
            (Text("two"), Text(0..<128) + Text(128...255) + Text(repeating: 0, count: 256)),
        ]
        #expect(run("disks").0 == "vda one 1024 rw\nvdb two 512 rw\n")
        #expect(run("head -c 3 /dev/vda; cat -c 2 one; cat -c 1 0").0 == "AAAAAA")
        #expect(run("type \\\\.\\PhysicalDrive0 /c 4", .cmd).0 == "AAAA")
        // What coreutils' cksum says of the same bytes.
        #expect(run("cksum one").0 == "1646599565 1024 one\n")
        #expect(run("echo 123456789 >f; cksum f").0 == "1552147931 10 f\n")
        #expect(run("printf hello >/dev/vdb; head -c 6 vdb").0 == "hello\0")
        #expect(run("cat nosuch") == ("can't open 'nosuch': No such file or directory\n", 1))
    }

    @Test("messages are sent, received and pinged")
    func messages() throws {
        #expect(run("net send a b") == ("no network card\n", 1))
        machine.cards = [ProbeCard(address: [0x52, 0x54, 0, 0, 1, 0xff])]
        #expect(run("net").0 == "52:54:00:00:01:ff sent 0 received 0\n")
        #expect(run("net send hello  there") == ("", 0))
        let message = try #require(machine.sent.last)
        #expect(message == ProbeMessage(.text, from: Text("lin-7"), Text("hello there")))
        #expect(ProbeMessage(frame: message.frame(from: machine.cards[0].address)) == message)
        machine.arriving = [ProbeMessage(.text, from: Text("b"), Text("hi"))]
        #expect(run("net receive 1") == ("b: hi\n", 0))
        #expect(run("net receive 1") == ("no message\n", 1))
        #expect(run("ping b", .cmd) == ("no reply from b\r\n", 1))
        machine.arriving = [ProbeMessage(.pong, from: Text("b"), Text("lin-7"))]
        #expect(run("net ping b") == ("reply from b\n", 0))
    }

    @Test("no frame, however short or odd, is more than no message")
    func frames() {
        let frame = ProbeMessage(.text, from: Text("a"), Text("text")).frame(from: Text(repeating: 1, count: 6))
        #expect(frame.count == 60)
        for count in 0..<19 { #expect(ProbeMessage(frame: Text(frame.prefix(count))) == nil) }
        for place in 12..<18 {
            var odd = frame
            odd[place] = 0xff
            #expect(ProbeMessage(frame: odd) == nil)
        }
    }

    @Test("the ways to end are the machine's")
    func ends() {
        _ = run("poweroff; reboot; panic for a test; fault triple; fault kernel")
        _ = run("shutdown /s\nshutdown /r", .cmd)
        #expect(
            machine.ends == [
                "power off", "reboot", "panic: for a test", "fault: triple", "fault: kernel", "power off", "reboot",
            ])
    }

    @Test("a command that faults ends with its system's status, and the guest lives")
    func crash() {
        #expect(run("fault; echo $?") == ("the program faulted\n139\n", 0))
        #expect(run("fault || exit", .cmd) == ("the program faulted\r\n", -1_073_741_819))
        #expect(machine.ends == ["crash", "crash"])
        #expect(run("fault opcode") == ("fault: kernel, triple or nothing\n", 1))
    }

    @Test("no script, however deep or torn, does harm")
    func torn() {
        _ = run(String(repeating: "(", count: 100_000))
        _ = run(String(repeating: "(echo ", count: 200) + String(repeating: ")", count: 200))
        let script = "A='b' (echo \"$A ${A}\" >f 2>&1 && cat <f || exit 2); eval \"echo $A\" # end"
        for count in 0...script.utf8.count {
            _ = run(String(decoding: script.utf8.prefix(count), as: UTF8.self))
            _ = run(String(decoding: script.utf8.prefix(count), as: UTF8.self), .cmd)
        }
        #expect(run("echo alive") == ("alive\n", 0))
    }
}
