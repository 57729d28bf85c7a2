import HostSystem
import JSON
import LabTestSupport
import QMP
import Testing

@testable import MachineMonitor

@Suite("QMP server", .timeLimit(.minutes(1)))
struct QMPServerTests {
    /// A server with a machine, and a client that has not said anything yet.
    private func withServer(
        _ machine: FakeMachine = FakeMachine(),
        _ body: (MonitorClient, QMPServer, FakeMachine, Reactor) async throws -> Void
    ) async throws {
        try await withReactor { reactor in
            let pair = try DescriptorPair.socketPair()
            let number = pair.second.release()
            let client = MonitorClient(try StreamSocket(owning: pair.first))
            let server = try QMPServer(.descriptor(number), reactor: reactor)
            try await reactor.on { try server.start(machine) }
            try await body(client, server, machine, reactor)
            try await reactor.on { server.finish() }
            while try await client.receive() != nil {}
        }
    }

    @Test("Greets, negotiates, and knows nothing before that")
    func negotiation() async throws {
        try await withServer { client, _, _, _ in
            let greeting = try await client.receive()
            #expect(greeting?["QMP"]?["capabilities"] == [])
            #expect(greeting?["QMP"]?["version"]?["package"]?.stringValue == "vmlab-vmm \(MonitorVersion.text)")
            let early = try await client.ask("query-status", id: 7)
            #expect(early?["error"]?["class"] == "CommandNotFound")
            #expect(early?["id"] == 7)
            try await client.say(#"{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}"#)
            #expect(try await client.receive()?["error"]?["class"] == "GenericError")
            try await client.say(#"{"execute": "qmp_capabilities", "arguments": {"enable": []}, "id": {"x": [1]}}"#)
            #expect(try await client.receive() == ["return": [:], "id": ["x": [1]]])
            let again = try await client.ask("qmp_capabilities")
            #expect(again?["error"]?["class"] == "CommandNotFound")
        }
    }

    @Test("Answers every query")
    func queries() async throws {
        try await withServer { client, _, machine, reactor in
            try await client.negotiate()
            let status: JSONValue = ["status": "running", "running": true, "singlestep": false]
            #expect(try await client.ask("query-status")?["return"] == status)
            #expect(try await client.ask("query-name")?["return"] == ["name": "fake"])
            #expect(try await client.ask("query-kvm")?["return"] == ["enabled": true, "present": true])
            let version = try await client.ask("query-version")?["return"]
            #expect(version?["qemu"]?["major"]?.integerValue == Int64(MonitorVersion.numbers.major))
            let cpus = try await client.ask("query-cpus-fast")?["return"]
            #expect(cpus?[0]?["thread-id"] == 11 && cpus?[1]?["thread-id"] == 12 && cpus?[2] == nil)
            #expect(cpus?[1]?["cpu-index"] == 1)
            guard case .array(let commands) = try await client.ask("query-commands")?["return"] else {
                Issue.record("no list")
                return
            }
            let names = commands.compactMap { $0["name"]?.stringValue }
            #expect(Set(names).isSuperset(of: ["qmp_capabilities", "stop", "cont", "quit"]) && names.count == 14)
            for name in names where name.hasPrefix("query-") {
                #expect(try await client.ask(name)?["return"] != nil)
            }
        }
    }

    @Test("Drives the machine, and tells what happens to it")
    func actions() async throws {
        try await withServer { client, server, machine, reactor in
            try await client.negotiate()
            for command in ["stop", "cont", "system_reset", "system_powerdown", "quit"] {
                #expect(try await client.ask(command) == ["return": [:], "id": 1])
            }
            try await client.say(#"{"execute": "snapshot-save", "arguments": {"path": "/a/b"}}"#)
            #expect(try await client.receive() == ["return": [:]])
            try await client.say(#"{"execute": "set-action", "arguments": {"shutdown": "pause"}}"#)
            #expect(try await client.receive() == ["return": [:]])
            try await client.say(#"{"execute": "set-action", "arguments": {"shutdown": "burn"}}"#)
            #expect(
                try await client.receive()?["error"]?["desc"]?.stringValue
                    == "Parameter 'shutdown' does not accept value 'burn'")
            // `quit` is answered before it is done.
            let calls = ["stop", "resume", "reset", "powerButton", "quit", "save /a/b", "shutdown pause"]
            #expect(try await eventually { machine.calls == calls })
            try await reactor.on {
                server.emit(QMPEvent(.stop))
                server.emit(QMPEvent(.resume))
                server.emit(QMPEvent(.powerdown))
                server.emit(.reset(.guestReset))
                server.emit(.reset(.systemReset))
                server.emit(QMPEvent(.guestPanicked, ["action": "run"]))
                server.emit(.shutdown(.guestShutdown))
                server.emit(.shutdown(.quit))
            }
            let expected: [(String, JSONValue?)] = [
                ("STOP", nil), ("RESUME", nil), ("POWERDOWN", nil),
                ("RESET", ["guest": true, "reason": "guest-reset"]),
                ("RESET", ["guest": false, "reason": "host-qmp-system-reset"]),
                ("GUEST_PANICKED", ["action": "run"]), ("SHUTDOWN", ["guest": true, "reason": "guest-shutdown"]),
                ("SHUTDOWN", ["guest": false, "reason": "host-qmp-quit"]),
            ]
            for (name, data) in expected {
                let event = try await client.receive()
                #expect(event?["event"]?.stringValue == name)
                #expect(event?["data"] == data)
                #expect((event?["timestamp"]?["seconds"]?.integerValue ?? 0) > 1_600_000_000)
                #expect((0..<1_000_000).contains(event?["timestamp"]?["microseconds"]?.integerValue ?? -1))
            }
        }
    }

    @Test("A command that takes time is answered when it is done; others need not wait for it")
    func late() async throws {
        try await withServer(FakeMachine(slow: true)) { client, _, machine, reactor in
            try await client.negotiate()
            try await client.say(#"{"execute": "stop", "id": "slow"}{"execute": "query-name", "id": "quick"}"#)
            #expect(try await client.receive()?["id"] == "quick")
            try await reactor.on { machine.finishStop() }
            #expect(try await client.receive() == ["return": [:], "id": "slow"])
        }
    }

    @Test("What the machine refuses is an error in its words")
    func failure() async throws {
        let machine = FakeMachine(failure: QMPRefusal("a processor cannot go on"))
        try await withServer(machine) { client, _, _, _ in
            try await client.negotiate()
            let answer = try await client.ask("cont")
            #expect(answer?["error"] == ["class": "GenericError", "desc": "a processor cannot go on"])
        }
    }

    @Test(
        "What is no command is an error, and the next command is understood",
        arguments: [
            ("{]", "GenericError", "JSON parse error, 1:2: expected a key in quotes"),
            ("nonsense\n", "GenericError", "JSON parse error, 1:1: expected a value"),
            ("[1]", "GenericError", "QMP input must be a JSON object"),
            ("{}", "GenericError", "QMP input lacks member 'execute'"),
            (#"{"execute": 1}"#, "GenericError", "QMP input member 'execute' must be a string"),
            (#"{"execute": "stop", "x": 1}"#, "GenericError", "QMP input member 'x' is unexpected"),
            (#"{"execute": "stop", "arguments": 1}"#, "GenericError", "QMP input member 'arguments' must be an object"),
            (#"{"execute": "stop", "arguments": {"y": 1}}"#, "GenericError", "Parameter 'y' is unexpected"),
            (#"{"execute": "sotp"}"#, "CommandNotFound", "The command sotp has not been found"),
        ])
    func mistakes(text: String, kind: String, description: String) async throws {
        try await withServer { client, _, machine, _ in
            try await client.negotiate()
            try await client.say(text)
            #expect(try await client.receive()?["error"] == ["class": .string(kind), "desc": .string(description)])
            #expect(try await client.ask("query-name")?["return"] == ["name": "fake"])
            #expect(machine.calls.isEmpty)
        }
    }

    @Test("A message without end is refused and its sender let go")
    func endless() async throws {
        try await withServer { client, _, _, _ in
            try await client.negotiate()
            try await client.say("{\"execute\": \"" + String(repeating: "x", count: QMPServer.messageLimit))
            #expect(try await client.receive()?["error"]?["class"] == "GenericError")
            #expect(try await client.receive() == nil)
        }
    }

    @Test("A client that does not read is let go before it costs much memory")
    func deaf() async throws {
        try await withServer { client, server, _, reactor in
            try await client.negotiate()
            try await reactor.on {
                for _ in 0..<100_000 { server.emit(QMPEvent(.stop)) }
            }
            var received = 0
            while try await client.receive() != nil { received += 1 }
            #expect((1..<100_000).contains(received))
        }
    }

    @Test("Commands are not read while their answers are not")
    func backpressure() async throws {
        try await withServer { client, _, _, _ in
            try await client.negotiate()
            let count = 20_000
            async let asking: Void = {
                for _ in 0..<(count / 100) {
                    try await client.say(String(repeating: #"{"execute": "query-status"}"#, count: 100))
                }
            }()
            for _ in 0..<count { #expect(try await client.receive()?["return"]?["running"] == true) }
            try await asking
        }
    }

    @Test("Over a unix socket one client follows the other; answers to the first are not told to the second")
    func clients() async throws {
        try await withTemporaryFolder { folder in
            try await withReactor { reactor in
                let path = folder + "/monitor"
                let machine = FakeMachine(slow: true)
                let server = try QMPServer(.socket(path), reactor: reactor)
                try await reactor.on { try server.start(machine) }
                let first = MonitorClient(try StreamSocket.connect(to: path))
                let second = MonitorClient(try StreamSocket.connect(to: path))
                try await first.negotiate()
                try await first.say(#"{"execute": "stop"}{"execute": "query-name"}"#)
                #expect(try await first.receive()?["return"]?["name"] == "fake")
                first.socket.close()
                try await second.negotiate()
                try await reactor.on { machine.finishStop() }
                #expect(try await second.ask("query-name")?["return"]?["name"] == "fake")
                try await reactor.on { server.finish() }
                #expect(try await second.receive() == nil)
                #expect(try FileTree.names(in: folder).isEmpty)
            }
        }
    }

    @Test("The socket of a killed machine is replaced, that of a living one is not")
    func abandonedSocket() async throws {
        try await withTemporaryFolder { folder in
            try await withReactor { reactor in
                let path = folder + "/monitor"
                // Bound and closed without being removed.
                _ = try ListeningSocket.bind(path: path)
                let server = try QMPServer(.socket(path), reactor: reactor)
                let error = #expect(throws: SystemCallError.self) { try QMPServer(.socket(path), reactor: reactor) }
                #expect(error?.call == "bind" && error?.subject == path)
                server.finish()
            }
        }
    }
}
