import Glibc
import GuestConsole
import LabTestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct UEFITests {
    /// What OVMF's shell says to a typed line: each key with the cursor behind it, the line end, `output`, a prompt.
    private static func answer(_ typed: String, _ output: String) -> String {
        typed.dropLast().map { "\($0)\u{1b}[08;09H\u{1b}[08;09H" }.joined() + "\r\n" + output
            + "\u{1b}[10;01H\u{1b}[1m\u{1b}[33m\u{1b}[40mShell> \u{1b}[0m\u{1b}[37m\u{1b}[40m"
    }

    @Test func linesAreTypedOneByOne() async throws {
        let guest = ScriptedGuest()
        let session = CommandSession(channel: guest, dialect: .uefi)
        guest.say("UEFI Interactive Shell v2.2\r\n\u{1b}[1m\u{1b}[33m\u{1b}[40mShell> \u{1b}[0m\u{1b}[37m\u{1b}[40m")
        let opening = Task { try await session.open(deadline: .after(.seconds(40))) }
        let probe = try await guest.receive(until: "\r")
        guest.say(Self.answer(probe, probe.dropFirst(5).filter { $0 != "^" } + "\n"))
        try await opening.value
        let running = Task { try await session.run("ver\n\nno-such\n", [("A", "b c")]) }
        #expect(try await guest.receive(until: "\r") == "set -v A \"b c\"\r")
        guest.say(Self.answer("set -v A \"b c\"\r", ""))
        #expect(try await guest.receive(until: "\r") == "ver\r")
        guest.say(Self.answer("ver\r", "UEFI v2.70\r\n"))
        #expect(try await guest.receive(until: "\r") == "no-such\r")
        guest.say(Self.answer("no-such\r", "'no-such' is not recognized\r\n"))
        #expect(try await guest.receive(until: "\r") == "echo %lasterror%\r")
        guest.say(Self.answer("echo %lasterror%\r", "0xE\r\n"))
        let (exit, output) = try await running.value
        #expect(exit == 14)
        #expect(String(decoding: output, as: UTF8.self).hasPrefix("UEFI v2.70\r\n\u{1b}[10;01H"))
    }

    /// A running OVMF shell's COM1, by hand: `VMLAB_TEST_UEFI=/path/of/com1 swift test --filter UEFITests`.
    @Test(.enabled(if: getenv("VMLAB_TEST_UEFI") != nil, "no UEFI guest is given in VMLAB_TEST_UEFI"))
    func aRealShell() async throws {
        let path = try #require(getenv("VMLAB_TEST_UEFI").map { String(cString: $0) })
        let session = CommandSession(channel: try DescriptorChannel(path: path), dialect: .uefi)
        defer { session.close() }
        try await session.open(atShell: true, deadline: .after(.seconds(5)))
        let (exit, output) = try await session.run("ver", [("A", "b c")])
        #expect(exit == 0)
        #expect(withoutEscapes(output[...]).hasPrefix("UEFI Interactive Shell v2.2\r\n"))
        #expect(try await session.run("no-such").exit == 14)
        let echoed = try await session.run("echo %A%\necho two").output
        #expect(withoutEscapes(echoed[...]) == "b c\r\nShelltwo\r\nShell")
    }
}

@Suite(.timeLimit(.minutes(1)))
struct SACTests {
    @Test func theWayToTheShell() async throws {
        let guest = ScriptedGuest()
        let session = CommandSession(channel: guest, dialect: .sac(user: "Administrator", password: "secret"))
        let opening = Task { try await session.open(deadline: .after(.seconds(40))) }
        for (said, typed) in [
            ("Computer is booting, SAC started and initialized.\r\n\r\nSAC>", nil),
            ("EVENT:   The CMD command is now available.\r\nSAC>", "cmd\r"),
            (
                "cmd\r\nThe Command Prompt session was successfully launched.\r\nEVENT:   A new channel has been created."
                    + "  Use \"ch -?\" for channel help.\r\nChannel: Cmd0001\r\nSAC>", "ch -si 1\r"
            ),
            ("Name: Cmd0001\r\nUse any other key to view this channel.\r\n", "\r"),
            ("\u{1b}[2J\u{1b}[1;1HPlease enter login credentials.\r\nUsername: ", "Administrator\r"),
            ("Domain  : ", "\r"), ("Password: ", "secret\r"),
        ] as [(String, String?)] {
            guest.say(said)
            if let typed { #expect(try await guest.receive(until: "\r") == typed) }
        }
        guest.say("\u{1b}[2JMicrosoft Windows [Version 10.0.20348]\r\n\r\nC:\\Windows\\system32>")
        let probe = try await guest.receive(until: "\r")
        guest.say(probe + "\n" + probe.dropFirst(5).filter { $0 != "^" } + "\nC:\\Windows\\system32>")
        try await opening.value

        let running = Task { try await session.run("ver\nexit /b 7") }
        var last = ""
        for _ in 0..<3 {
            let typed = try await guest.receive(until: "\r")
            last = typed
            let nonce = typed.split(separator: "^-")[0].suffix(32)
            // The echo holds the nonce, but not the markers.
            guest.say(typed + "\n")
            if typed.hasPrefix(">") {
                #expect(typed.contains("QGVjaG8gb2ZmDQp2ZXINCmV4aXQgL2IgNw0K"))
            }
            guest.say(typed.contains("^+") ? "\(nonce)+\r\nMicrosoft Windows\r\n\(nonce)-7\r\n" : "\(nonce)-0\r\n")
            guest.say("\r\nC:\\Windows\\system32>")
        }
        #expect(last.contains("cmd /c"))
        let (exit, output) = try await running.value
        #expect(exit == 7)
        #expect(String(decoding: output, as: UTF8.self) == "Microsoft Windows\r\n")
    }
}
