import HostSystem
import GuestConsole
import LabTestSupport
import Synchronization
import Testing

/// The guest's side of a session, played.
private struct Play: Sendable {
    let guest = ScriptedGuest()
    let session: CommandSession

    init(_ dialect: Dialect = .sh) {
        session = CommandSession(channel: guest, dialect: dialect)
    }

    /// Greets and answers the setup, as a real shell does.
    static func opened() async throws -> Play {
        let play = Play()
        play.guest.say("[boot] noise\n\nVMLAB READY sh\n")
        async let setUp: Void = play.answerSetup()
        try await play.session.open(deadline: .after(.seconds(60)))
        try await setUp
        return play
    }

    func answerSetup() async throws {
        // … "printf %s%s 0123456789abcdef 0123456789abcdef\n": the shell joins what the line keeps apart.
        var received = ""
        while received.split(separator: "printf %s%s ").count < 2 || !received.hasSuffix("\n") {
            received += try await guest.receive(until: "\n")
        }
        let halves = try #require(received.split(separator: "printf %s%s ").last).split(separator: " ")
        guest.say(halves.joined().filter { $0 != "\n" })
    }

    /// Hears `v NONCE 'script'`, or `b NONCE;(program);a NONCE`, and returns the nonce.
    func hearCommand() async throws -> String {
        let line = try await guest.receive(until: "\n")
        let words = line.split(separator: " ")
        #expect(words.first == "v" || words.first == "b")
        return String(words[1].prefix(32))
    }
}

@Suite(.timeLimit(.minutes(5)))
struct SessionTests {
    @Test func aCommandIsOneLineAndItsOutputTheBytesBetweenTheMarkers() async throws {
        let play = try await Play.opened()
        async let result = play.session.run("echo 'it''s'\nuname", [("A", "1")])
        let line = try await play.guest.receive(until: "export A=1;'\n")
        let nonce = String(line.split(separator: " ")[1])
        #expect(line == "v \(nonce) 'echo '\\''it'\\'''\\''s'\\''\nuname' 'export A=1;'\n")
        #expect(nonce.count == 32)
        // Late output of something in the background; begin; output; end; and more noise behind it.
        play.guest.say("stale\u{1e}\(nonce.prefix(8))+out \u{1e}\(nonce) v \(nonce) 'echo\u{1e}\(nonce)-3\nlater")
        let (exit, output) = try await result
        #expect(exit == 3)
        #expect(String(decoding: output, as: UTF8.self) == "out \u{1e}\(nonce) v \(nonce) 'echo")
    }

    @Test func anAnswerCutAnywhereIsTheSame() async throws {
        let play = try await Play.opened()
        var cut = 1
        while true {
            async let result = play.session.run("x")
            let nonce = try await play.hearCommand()
            let output = "a\u{1e}b\n\u{1e}\(nonce.prefix(31))"
            let answer = Array("noise\u{1e}\(nonce.prefix(8))+\(output)\u{1e}\(nonce)--7\r\n".utf8)
            play.guest.say(Array(answer.prefix(cut)))
            if cut < answer.count { play.guest.say(Array(answer.dropFirst(cut))) }
            let (exit, received) = try await result
            #expect(exit == -7)
            #expect(String(decoding: received, as: UTF8.self) == output)
            cut += 1
            if cut > answer.count { break }
        }
        // And byte by byte.
        async let result = play.session.run("x")
        let nonce = try await play.hearCommand()
        for byte in "\u{1e}\(nonce.prefix(8))+\u{1e}\u{1e}\u{1e}\(nonce)-4294967295\n".utf8 { play.guest.say([byte]) }
        let (exit, output) = try await result
        #expect(exit == -1)
        #expect(output == [0x1e, 0x1e])
    }

    @Test func outputComesAsItIsPrinted() async throws {
        let play = try await Play.opened()
        let (pieces, continuation) = AsyncStream.makeStream(of: String.self)
        async let result = play.session.run(GuestCommand("x"), deadline: .after(.seconds(60))) {
            continuation.yield(String(decoding: $0, as: UTF8.self))
        }
        let nonce = try await play.hearCommand()
        var iterator = pieces.makeAsyncIterator()
        play.guest.say("\u{1e}\(nonce.prefix(8))+Password: ")
        #expect(await iterator.next() == "Password: ")
        play.guest.say("\u{1e}")
        play.guest.say("more")
        #expect(await iterator.next() == "\u{1e}more")
        play.guest.say("\u{1e}\(nonce)-0\n")
        #expect(try await result.exit == 0)
    }

    @Test func aPeerThatStopsAnswering() async throws {
        let play = try await Play.opened()
        await #expect(throws: ConsoleError.deadline) {
            _ = try await play.session.run(GuestCommand("x"), deadline: .after(.milliseconds(50)))
        }
        await #expect(throws: ConsoleError.busy) {
            _ = try await play.session.run(GuestCommand("x"), deadline: .after(.seconds(60)))
        }
        #expect(!(await play.session.interrupt(grace: .milliseconds(50))))
    }

    @Test func silenceIsBrokenByAnyByte() async throws {
        let clock = ManualClock()
        try await HostClock.$current.withValue(clock) {
            let play = try await Play.opened()
            let running = Task {
                try await play.session.run(
                    GuestCommand("x"), deadline: clock.now + .seconds(60), silence: .seconds(2))
            }
            let nonce = try await play.hearCommand()
            for _ in 0..<6 {
                clock.advance(by: .seconds(1))
                play.guest.say("\u{1e}\(nonce.prefix(8))+")
                #expect(try await eventually { play.guest.isDrained })
            }
            // It looks at the time once a second, and the last byte came when it did.
            for _ in 1...2 { try await clock.fire(after: .seconds(1)) }
            await #expect(throws: ConsoleError.silence) { _ = try await running.value }
        }
    }

    @Test func aPeerThatPrintsForEver() async throws {
        let clock = ManualClock()
        let count = Mutex(0)
        try await HostClock.$current.withValue(clock) {
            let play = try await Play.opened()
            let printing = Task {
                let nonce = try await play.hearCommand()
                play.guest.say("\u{1e}\(nonce.prefix(8))+")
                while !Task.isCancelled {
                    play.guest.say(Array(repeating: UInt8(ascii: "y"), count: 4096))
                    try? await Task.sleep(for: .milliseconds(1))
                }
            }
            let turning = Task { @Sendable in
                #expect(try await eventually { count.withLock { $0 } > 0 })
                clock.advance(by: .seconds(9))
                let seen = count.withLock { $0 }
                #expect(try await eventually { count.withLock { $0 } > seen + 8192 })
                // Where silence would have ended it, and its deadline.
                try await clock.fire(after: .seconds(1))
                try await clock.fire(after: .seconds(2))
            }
            await #expect(throws: ConsoleError.deadline) {
                _ = try await play.session.run(
                    GuestCommand("yes"), deadline: clock.now + .seconds(12), silence: .seconds(10)
                ) { piece in count.withLock { $0 += piece.count } }
            }
            try await turning.value
            let atTheEnd = count.withLock { $0 }
            await Task.yield()
            printing.cancel()
            _ = await printing.result
            #expect(count.withLock { $0 } == atTheEnd)
        }
    }

    @Test func theChannelClosesInMidCommand() async throws {
        let play = try await Play.opened()
        let running = Task { try await play.session.run("x") }
        _ = try await play.hearCommand()
        play.guest.close()
        await #expect(throws: ConsoleError.channelClosed) { _ = try await running.value }
        await #expect(throws: ConsoleError.channelClosed) { _ = try await play.session.run("y") }
        #expect(!(await play.session.interrupt(grace: .seconds(1))))
    }

    @Test func cancellationEndsTheWaitAtOnce() async throws {
        let play = try await Play.opened()
        let running = Task { try await play.session.run("x", seconds: 60) }
        let nonce = try await play.hearCommand()
        running.cancel()
        await #expect(throws: ConsoleError.cancelled) { _ = try await running.value }
        // Ctrl-C waits until the command runs: typed sooner it would be lost.
        async let freed = play.session.interrupt(grace: .seconds(60))
        play.guest.say("\u{1e}\(nonce.prefix(8))+")
        #expect(try await play.guest.receive(until: "\u{3}") == "\u{3}")
        play.guest.say("^C\u{1e}\(nonce)-130\n")
        // What it left in the background is killed.
        let last = try await play.guest.receive(until: "\n")
        #expect(last.hasPrefix("k;a "))
        play.guest.say("\u{1e}\(last.dropFirst(4).prefix(32))-0\n")
        #expect(await freed)
        async let result = play.session.run("y")
        let next = try await play.hearCommand()
        play.guest.say("\u{1e}\(next.prefix(8))+\u{1e}\(next)-0\n")
        #expect(try await result.exit == 0)
    }

    @Test func aGreetingBeforeTheCommandRunsIsANewShell() async throws {
        let play = try await Play.opened()
        let running = Task { try await play.session.run("x") }
        _ = try await play.hearCommand()
        play.guest.say("\nVMLAB READY sh\n")
        await #expect(throws: ConsoleError.greetedAgain) { _ = try await running.value }
        async let setUp: Void = play.answerSetup()
        try await play.session.open(deadline: .after(.seconds(60)))
        try await setUp
    }

    @Test func aGreetingInTheOutputIsOnlyOutput() async throws {
        let play = try await Play.opened()
        async let result = play.session.run("x")
        let nonce = try await play.hearCommand()
        play.guest.say("\u{1e}\(nonce.prefix(8))+a\nVMLAB READY sh\nb")
        // The session asks who is there; the command goes on, ends, and only then does the shell answer.
        let probe = try await play.guest.receive(until: "printf %s%s ")
        #expect(probe.hasPrefix("\n"))
        play.guest.say("c\u{1e}\(nonce)-0\n")
        let (exit, output) = try await result
        #expect(exit == 0)
        #expect(String(decoding: output, as: UTF8.self) == "a\nVMLAB READY sh\nbc")
    }

    @Test("N13: a new shell's greeting is no output of the command")
    func aGreetingWithAnAnswerToTheProbeIsANewShell() async throws {
        let play = try await Play.opened()
        let output = Output()
        let running = Task {
            try await play.session.run(GuestCommand("x"), deadline: .after(.seconds(60))) { output.append($0) }
        }
        let nonce = try await play.hearCommand()
        play.guest.say("\u{1e}\(nonce.prefix(8))+a\nVMLAB READY sh\n")
        try await play.answerSetup()
        await #expect(throws: ConsoleError.greetedAgain) { _ = try await running.value }
        #expect(output.text == "a")
    }

    @Test("N13: what a guest says behind its machine's reset is no output of the command")
    func theMachineIsReset() async throws {
        let play = try await Play.opened()
        let output = Output()
        let running = Task {
            try await play.session.run(GuestCommand("reboot"), deadline: .after(.seconds(60))) { output.append($0) }
        }
        let nonce = try await play.hearCommand()
        play.guest.say("\u{1e}\(nonce.prefix(8))+a\n")
        #expect(try await eventually { output.text == "a" })
        play.session.machineWasReset()
        play.guest.say("SeaBIOS (version 1.16)\n")
        await #expect(throws: ConsoleError.greetedAgain) { _ = try await running.value }
        await #expect(throws: ConsoleError.greetedAgain) { _ = try await play.session.run("x") }
        #expect(output.text == "a\n")
        play.guest.say("\nVMLAB READY sh\n")
        async let setUp: Void = play.answerSetup()
        try await play.session.open(deadline: .after(.seconds(60)))
        try await setUp
    }

    @Test("A guest that is back before its machine's reset is told of has greeted already")
    func theResetIsToldLate() async throws {
        let play = try await Play.opened()
        let running = Task {
            try await play.session.run(GuestCommand("reboot"), deadline: .after(.seconds(60))) { _ in }
        }
        let nonce = try await play.hearCommand()
        play.guest.say("\u{1e}\(nonce.prefix(8))+\nVMLAB READY sh\n")
        // The session asks who it was that greeted.
        _ = try await play.guest.receive(until: "printf %s%s ")
        play.session.machineWasReset()
        await #expect(throws: ConsoleError.greetedAgain) { _ = try await running.value }
        async let setUp: Void = play.answerSetup()
        try await play.session.open(deadline: .after(.seconds(60)))
        try await setUp
    }

    @Test func aGreetingWhereTheShellShouldGoOnIsANewShell() async throws {
        let play = Play()
        let opening = Task { try await play.session.open(atShell: true, deadline: .after(.seconds(60))) }
        _ = try await play.guest.receive(until: "printf %s%s ")
        play.guest.say("[boot] noise\n\nVMLAB READY sh\n")
        await #expect(throws: ConsoleError.greetedAgain) { try await opening.value }
    }

    @Test func aGreetingWhileIdleIsTold() async throws {
        let play = try await Play.opened()
        play.guest.say("\nVMLAB REA")
        play.guest.say("DY sh\n")
        while true {
            do { _ = try await play.session.run(GuestCommand("x"), deadline: .after(.milliseconds(20))) } catch {
                if error == .greetedAgain { break }
                _ = await play.session.interrupt(grace: .milliseconds(1))
            }
        }
    }

    @Test func aRebootThatWasAskedFor() async throws {
        let play = try await Play.opened()
        play.session.expectReboot()
        await #expect(throws: ConsoleError.deadline) {
            try await play.session.open(deadline: .after(.milliseconds(30)))
        }
        play.guest.say("\nVMLAB READY sh\n")
        async let setUp: Void = play.answerSetup()
        try await play.session.open(deadline: .after(.seconds(60)))
        try await setUp
    }

    @Test func whatNoShellCanBeGiven() async throws {
        let play = try await Play.opened()
        for command in [
            GuestCommand("a\0b"), GuestCommand("x", environment: [("A B", "")]),
            GuestCommand("x", environment: [("1A", "")]), GuestCommand("x", environment: [("A", "\0")]),
            GuestCommand("x", environment: [("", "")]),
        ] {
            do throws(ConsoleError) {
                _ = try await play.session.run(command, deadline: .after(.seconds(1)))
                Issue.record("accepted \(command)")
            } catch {
                guard case .invalidCommand = error else {
                    Issue.record("\(error)")
                    return
                }
            }
        }
    }

    @Test func anEndMarkerWithoutAStatus() async throws {
        let play = try await Play.opened()
        async let result = play.session.run("x")
        let nonce = try await play.hearCommand()
        play.guest.say("\u{1e}\(nonce.prefix(8))+\u{1e}\(nonce)-what?\n")
        do {
            _ = try await result
            Issue.record("no error")
        } catch let error as ConsoleError {
            guard case .protocolViolation(let text) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(text.contains("what?"))
        }
    }
}
