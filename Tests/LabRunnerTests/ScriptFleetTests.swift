import Diagnostics
import Glibc
import GuestConsole
import HostSystem
import LabResults
import Patterns
import LabTestSupport
import Synchronization
import Testing

@testable import GuestControl
@testable import LabSpec

@Suite("Guests on demand") struct ScriptFleetTests {
    @Test("guests boot when they are asked for, run commands, and are gone with the fleet")
    func commands() async throws {
        try await TestFleet.with { test in
            let guests = try await test.boot(group("g", count: 2))
            #expect(guests.map(\.name) == ["g-1", "g-2"])
            #expect(try await guests[0].say("echo one; exit 3") == ("one\n", 3))
            #expect(try await guests[1].say("echo two") == ("two\n", 0))
            let later = try await test.boot(group("late"))
            #expect(try await later[0].say("echo three") == ("three\n", 0))
            #expect(test.fleet.guests.map(\.name) == ["g-1", "g-2", "late"])
        }
    }

    @Test("a name is used once")
    func names() async throws {
        try await TestFleet.with { test in
            _ = try await test.boot(group("g"))
            let error = await #expect(throws: Diagnostic.self) { try await test.boot(group("g")) }
            #expect(error?.message == "the guest name `g` is already in use")
            // A name that is reserved is nobody else's.
            let reservation = test.fleet.reserve("h", count: nil)
            #expect(reservation.group == "h-1")
            await #expect(throws: Diagnostic.self) { try await test.boot(group("h-1")) }
            let lab = TestLab(groups: [group("h-1")], backend: test.backend).lab
            #expect(try await test.fleet.boot(lab, as: reservation).map(\.name) == ["h-1"])
        }
    }

    @Test("a network that many strands name at once is one network")
    func networks() async throws {
        try await TestFleet.with { test in
            try await withThrowingTaskGroup(of: Void.self) { strands in
                for _ in 1...32 {
                    strands.addTask { try test.fleet.addNetwork(NetworkSpec(name: "lan")) }
                }
                try await strands.waitForAll()
            }
            #expect(try test.files("switch") == ["switch0"])
        }
    }

    @Test("peers that have come and gone come into a guest's names, and out of them")
    func peers() async throws {
        let notebooks = NotebookBackend()
        let lan = [NetworkSpec(name: "lan")]
        try await TestFleet.with(on: notebooks) { test in
            let first = try await test.boot(group("first").with { $0.networks = ["lan"] }, networks: lan)[0]
            _ = try await first.say("hostname")
            let second = try await test.boot(group("second").with { $0.networks = ["lan"] }, networks: lan)[0]
            try await second.kill()
            let third = try await test.boot(group("third").with { $0.networks = ["lan"] }, networks: lan)[0]
            let addresses = [first, second, third].map { $0.address(on: "lan") }
            #expect(addresses == ["10.100.0.1", "10.100.0.2", "10.100.0.3"])
            let names = notebooks.machine("third")?.scripts.first { $0.contains("/etc/hosts") }
            #expect(names?.contains("10.100.0.1 first\n10.100.0.3 third\n") == true, "\(names ?? "")")
            _ = try await first.say("hostname")
            let script = NetworkScript.names(adding: ["10.100.0.3 third"]).joined(separator: "\n")
            #expect(notebooks.machine("first")?.scripts.contains(script) == true)
            try await third.kill()
            _ = try await first.say("hostname")
            let goodbye = NetworkScript.names(adding: [], removing: ["10.100.0.3 third"]).joined(separator: "\n")
            #expect(notebooks.machine("first")?.scripts.contains(goodbye) == true)
        }
    }

    @Test("a guest that has come up once more is told of those who came before")
    func peersOfOneThatWasOff() async throws {
        let notebooks = NotebookBackend()
        let lan = [NetworkSpec(name: "lan")]
        try await TestFleet.with(on: notebooks) { test in
            let first = try await test.boot(group("first").with { $0.networks = ["lan"] }, networks: lan)[0]
            _ = try await test.boot(group("second").with { $0.networks = ["lan"] }, networks: lan)
            try await first.powerOff()
            try await first.start()
            _ = try await first.say("hostname")
            let script = NetworkScript.names(adding: ["10.100.0.2 second"]).joined(separator: "\n")
            #expect(notebooks.machine("first")?.scripts.contains(script) == true)
        }
    }

    @Test("several tasks may ask one guest: it does one thing after the other")
    func turns() async throws {
        try await TestFleet.with { test in
            let guest = try await test.boot(group("g"))[0]
            let answers = try await withThrowingTaskGroup(of: (String, Int32).self) { group in
                for number in 1...8 { group.addTask { try await guest.say("echo \(number); exit \(number)") } }
                return try await group.reduce(into: [:]) { $0[$1.1] = $1.0 }
            }
            #expect(answers == Dictionary(uniqueKeysWithValues: (1...8).map { (Int32($0), "\($0)\n") }))
        }
    }

    @Test("a command that takes too long is ended, and the guest goes on")
    func timeout() async throws {
        let clock = ManualClock()
        try await TestFleet.with(clock: clock) { test in
            let guest = try await test.boot(group("g"))[0]
            let begun = Completion<Void>()
            let turning = Task {
                try await begun.wait()
                try await clock.fire(after: .seconds(300))
            }
            let error = await #expect(throws: GuestTimeout.self) {
                try await guest.run(GuestCommand(sleeping), timeout: .seconds(300)) { _ in
                    begun.fulfil()
                }
            }
            try await turning.value
            #expect(error?.description == "the command did not end within 5m")
            #expect(try await guest.say("echo on").0 == "on\n")
        }
    }

    @Test("a command that was left by an error of the host is ended before the next one")
    func left() async throws {
        try await TestFleet.with { test in
            let guest = try await test.boot(group("g"))[0]
            let begun = Completion<Void>()
            await #expect(throws: SystemCallError.self) {
                try await guest.operate(guest.limits.time(nil), "the copy") { deadline in
                    let copying = Task {
                        try await guest.session.commands.run(GuestCommand(sleeping), deadline: deadline) { _ in
                            begun.fulfil(())
                        }
                    }
                    try await begun.wait()
                    copying.cancel()
                    _ = await copying.result
                    throw SystemCallError("write", errno: ENOSPC)
                }
            }
            #expect(try await guest.say("echo on").0 == "on\n")
        }
    }

    @Test("a command whose waiter is cancelled is ended before the next one")
    func cancelled() async throws {
        try await TestFleet.with { test in
            let guest = try await test.boot(group("g"))[0]
            let started = Completion<Void>()
            let waiter = Task {
                try await guest.run(GuestCommand(sleeping)) { _ in started.fulfil() }
            }
            _ = try await started.wait()
            waiter.cancel()
            await #expect(throws: CancellationError.self) { try await waiter.value }
            #expect(try await guest.say("echo on").0 == "on\n")
        }
    }

    @Test("a guest that dies ends what runs on it, and says so afterwards")
    func death() async throws {
        try await TestFleet.with { test in
            let guest = try await test.boot(group("g"))[0]
            let machine = try await test.backend.machine("g")
            async let answer = guest.say("sleep 1000")
            machine.die()
            do {
                _ = try await answer
                Issue.record("a dead guest answered")
            } catch let loss as GuestLoss {
                #expect(loss.outcome == .error)
            }
            await #expect(throws: GuestLoss.self) { try await guest.say("echo") }
            try await test.sink.wait { if case .guestEnded("g", false, _) = $0 { true } else { false } }
        }
    }

    @Test("the script ends a guest: its machine is gone when that returns, and its name stays its own")
    func kill() async throws {
        try await TestFleet.with { test in
            let guests = try await test.boot(group("g", count: 2))
            try await guests[0].kill()
            #expect(test.backend.census.live == 1)
            #expect(test.fleet.guests.map(\.name) == ["g-2"])
            await #expect(throws: GuestLoss.self) { try await guests[0].say("echo") }
            try await test.sink.wait { if case .guestEnded("g-1", true, _) = $0 { true } else { false } }
        }
    }

    @Test("a guest that does not fit waits for one that leaves")
    func room() async throws {
        try await TestFleet.with(memory: .mebibytes(150)) { test in
            let first = try await test.boot(group("first"))[0]
            async let second = test.fleet.strands.beside { try await test.boot(group("second")) }
            try await test.sink.wait { if case .guestQueued("second", _) = $0 { true } else { false } }
            try await first.kill()
            #expect(try await second[0].say("echo here").0 == "here\n")
        }
    }

    @Test("S8: guests that can never be up at once are an error at once")
    func neverFits() async throws {
        try await TestFleet.with(memory: .mebibytes(450)) { test in
            let error = await #expect(throws: Diagnostic.self) { try await test.boot(group("g", count: 20)) }
            #expect(error?.message.contains("20 guests that are to be up at once need") == true)
            #expect(error?.message.contains("only 450MiB may be used") == true)
            let four = try await test.boot(group("h", count: 4))
            #expect(four.count == 4)
        }
    }

    @Test("S8: a boot that waits for room which only its own strand could make is an error long before its deadline")
    func onlyStrand() async throws {
        let long = Timeouts(boot: .seconds(3600), task: .seconds(20))
        try await TestFleet.with(long, memory: .mebibytes(150)) { test in
            let first = try await test.boot(group("first"))[0]
            let error = await #expect(throws: GuestLoss.self) { try await test.boot(group("second")) }
            #expect(error?.message.contains("end one of them first") == true)
            // Two strands that wait for each other are no better.
            await #expect(throws: GuestLoss.self) {
                try await test.fleet.strands.replacing {
                    try await withThrowingTaskGroup(of: Void.self) { strands in
                        for name in ["third", "fourth"] {
                            strands.addTask {
                                _ = try await test.fleet.strands.beside { try await test.boot(group(name)) }
                            }
                        }
                        // As a script does: the first error ends the others (`waitForAll` would wait for them).
                        for try await _ in strands {}
                    }
                }
            }
            try await first.kill()
            let last = try await test.boot(group("last"))
            #expect(last.count == 1, "there is room again at once")
        }
    }

    @Test("a command whose input is typed: each match begins behind the one before")
    func interaction() async throws {
        try await TestFleet.with { test in
            let guest = try await test.boot(group("g"))[0]
            let talk = Interaction(
                GuestCommand("printf 'name? '; read n; echo hello $n; printf 'name? '; read n; echo bye $n; exit 4"),
                on: guest)
            _ = try await talk.expect(Pattern(#"name\? "#))
            try talk.send(Array("ada\n".utf8))
            let greeting = try await talk.expect(Pattern(#"hello (\w+)"#))
            #expect(greeting.captures == ["ada"])
            _ = try await talk.expect(Pattern(#"name\? "#))
            try talk.send(Array("bob\n".utf8))
            #expect(try await talk.finish().exit == 4)
            let error = await #expect(throws: InteractionEnded.self) { try await talk.expect(Pattern("never")) }
            #expect(error?.said.contains("bye bob") == true)
            #expect(try await guest.say("echo after").0 == "after\n")
        }
    }

    @Test("after an interaction that was cut off, the next one gets all that is typed to it, and nothing else")
    func interactionAfterOneCutOff() async throws {
        try await TestFleet.with { test in
            let guest = try await test.boot(group("g"))[0]
            for (command, typed) in [
                // Its timeout comes; part of what was typed is still unread, and its shell must not run it.
                ("sleep 1000", "unread\necho run >ran; '"),
                // The terminal is left as a program has made it.
                ("stty sane min 0; cat >/dev/null; sleep 1000", "read\n"),
            ] {
                // What a program makes of the terminal takes it real time.
                let first = Interaction(GuestCommand(command), on: guest, timeout: .seconds(1))
                try first.send(Array(typed.utf8))
                await #expect(throws: GuestTimeout.self) { try await first.finish() }
                // Typed before the guest is free for its command.
                let second = Interaction(GuestCommand("read a; read b; echo \"got $a, $b\"; ls ran"), on: guest)
                try second.send(Array("one\n".utf8))
                try second.send(Array("two\n".utf8))
                _ = try await second.expect(Pattern("got one, two\n"))
                #expect(try await second.finish().exit != 0, "what was left unread is no command")
            }
            // Nobody waits for it any more, as where the script that talks to it has failed.
            do {
                let first = Interaction(GuestCommand("cat"), on: guest)
                try first.send(Array("begun\n".utf8))
                _ = try await first.expect(Pattern("begun"))
                try first.send(Array("an open line".utf8))
            }
            let second = Interaction(GuestCommand("read a; echo \"got $a\""), on: guest)
            try second.send(Array("three\n".utf8))
            _ = try await second.expect(Pattern("got three\n"))
            #expect(try await second.finish().exit == 0)
            #expect(try await guest.say("echo after").0 == "after\n")
        }
    }

    @Test("a program that reads its input to the end comes to it, behind a line and behind a part of one")
    func endOfInput() async throws {
        try await TestFleet.with { test in
            let guest = try await test.boot(group("g"))[0]
            for (typed, said) in [
                ("", "0"), ("one\ntwo\n", "8"), ("one\ntwo", "7"), ("\u{16}\u{15}\u{7f}\u{12}\r", "5"),
            ] {
                let talk = Interaction(GuestCommand("cat | wc -c"), on: guest)
                if !typed.isEmpty { try talk.send(Array(typed.utf8)) }
                talk.endInput()
                _ = try await talk.expect(Pattern("^ *\(said)\n"))
                #expect(try await talk.finish().exit == 0)
            }
            let twice = Interaction(GuestCommand("cat; cat"), on: guest)
            try twice.send(Array("one\n".utf8))
            twice.endInput()
            _ = try await twice.expect(Pattern("one"))
            try twice.send(Array("two\n".utf8))
            _ = try await twice.expect(Pattern("two"))
            twice.endInput()
            #expect(try await twice.finish().exit == 0)
            let error = #expect(throws: Diagnostic.self) { try twice.send([UInt8](repeating: 97, count: 4096)) }
            #expect(error?.message.contains("4095 bytes") == true)
        }
    }

    @Test("a guest whose machine cannot be saved goes on, and nothing is left of the attempt")
    func noSnapshot() async throws {
        try await TestFleet.with { test in
            let guest = try await test.boot(group("g"))[0]
            let error = await #expect(throws: Diagnostic.self) { try await guest.snapshot() }
            #expect(error?.message == "the backend of this machine cannot save its state")
            #expect(try await guest.say("echo on").0 == "on\n")
            #expect(try test.snapshots == [])
        }
    }

    @Test(
        "the program that renews a clone's random numbers is one: told to renew those of /dev/null, it says it cannot")
    func reseedProgram() async throws {
        try await withTemporaryFolder { folder in
            let path = folder + "/reseed"
            do {
                let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o700)
                try writeAll(file.number, CloneIdentity.reseedProgram[...])
            }
            #expect(try await Tool.run(path).status == .exited(ENOTTY))
        }
    }
}
