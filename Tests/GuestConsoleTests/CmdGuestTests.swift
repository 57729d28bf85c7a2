import Glibc
import GuestConsole
import Testing

/// A running `wine` guest's COM2, by hand: `VMLAB_TEST_CMD=/path/of/com2 swift test --filter CmdGuestTests`.
private let guest = getenv("VMLAB_TEST_CMD").map { String(cString: $0) }

@Suite(.enabled(if: guest != nil, "no wine guest is given in VMLAB_TEST_CMD"), .serialized, .timeLimit(.minutes(5)))
struct CmdGuestTests {
    private func withGuest(_ body: (CommandSession) async throws -> Void) async throws {
        let session = CommandSession(channel: try DescriptorChannel(path: guest ?? ""), dialect: .cmd)
        defer { session.close() }
        try await session.open(atShell: true, deadline: .after(.seconds(10)))
        try await body(session)
    }

    @Test func outputAndStatus() async throws {
        try await withGuest { session in
            for (script, expected, status) in [
                ("", "", 0), ("ver", nil, 0), ("echo hello", "hello\r\n", 0), ("exit /b 7", "", 7), ("exit 3", "", 3),
                ("exit /b -1073741819", "", -1_073_741_819), ("<nul set /p x=no newline", "no newline", 0),
                ("echo hüllo 日本 🐧", "hüllo 日本 🐧\r\n", 0), ("echo a & echo b\necho %OS:~0,4%", "a \r\nb\r\nWind\r\n", 0),
                ("for %%i in (1 2 3) do echo %%i", "1\r\n2\r\n3\r\n", 0),
                ("echo \"a b\" ^& 50%%", "\"a b\" & 50%\r\n", 0),
                ("set /p x=\necho [%x%]", "[]\r\n", 0), ("no-such-program", nil, 9009), ("echo it's", "it's\r\n", 0),
                ("echo C:\\^>", "C:\\>\r\n", 0), ("cd \\windows\ncd", "C:\\windows\r\n", 0), ("cd", "C:\\\r\n", 0),
                ("set LEAK=1", "", 0), ("echo [%LEAK%]", "[]\r\n", 0), ("echo err>&2", "err\r\n", 0),
            ] as [(String, String?, Int32)] {
                let (exit, output) = try await session.run(script)
                #expect(exit == status, "\(script)")
                if let expected { #expect(String(decoding: output, as: UTF8.self) == expected, "\(script)") }
            }
        }
    }

    @Test func environment() async throws {
        try await withGuest { session in
            for value in [
                "plain", "two words ", "100%", "%PATH%", "a&b|c<d>e^f", "it's", "ünï", "a!b", "x=y", "(z)",
                "say \"hi\" & go",
            ] {
                let (exit, output) = try await session.run("set A_1", [("A_1", value)])
                #expect(exit == 0)
                #expect(String(decoding: output, as: UTF8.self) == "A_1=\(value)\r\n")
            }
        }
    }

    @Test func longScriptAndOutput() async throws {
        try await withGuest { session in
            let script = String(repeating: "rem it's filler\n", count: 3000) + "exit /b 5"
            #expect(try await session.run(script, seconds: 60).exit == 5)
            let (_, output) = try await session.run("for /l %%i in (1,1,2000) do echo line %%i", seconds: 60)
            let expected = (1...2000).map { "line \($0)\r\n" }.joined()
            #expect(String(decoding: output, as: UTF8.self) == expected)
        }
    }

    @Test func interrupt() async throws {
        try await withGuest { session in
            for script in ["ping -n 100 127.0.0.1 >nul", ":loop\ngoto loop"] {
                await #expect(throws: ConsoleError.deadline) {
                    _ = try await session.run(GuestCommand(script), deadline: .after(.seconds(2)))
                }
                #expect(await session.interrupt(grace: .seconds(9)), "\(script)")
                let output = try await session.run("echo alive").output
                #expect(output == Array("alive\r\n".utf8))
            }
        }
    }

    @Test func controlShell() async throws {
        try await withGuest { session in
            let output = Output()
            let result = try await session.control(
                GuestCommand("cat /proc/1/comm\ncat <<'E'\na\nE\nprintf \"$A\"; exit 4", environment: [("A", "x\ny")]),
                deadline: .after(.seconds(10))
            ) { output.append($0) }
            #expect(result.exit == 4)
            #expect(output.text.hasSuffix("\na\nx\ny"))
        }
    }
}
