import HostSystem
import JSON
import LabTestSupport
import QMP
import Testing

@testable import LabMachines

/// Plays QEMU: what a test says it says, line by line.
private struct Server {
    let socket: StreamSocket

    /// A client connected to a server that has not said anything yet.
    static func connected() throws -> (QMPClient, Server) {
        let pair = try DescriptorPair.socketPair()
        return (
            QMPClient(try StreamSocket(owning: pair.first)), Server(socket: try StreamSocket(owning: pair.second))
        )
    }

    func say(_ text: String) async throws { try await socket.write(Array((text + "\r\n").utf8)) }

    /// The next command; clients send one line at a time.
    func receive() async throws -> JSONValue { try JSONValue(parsing: try await socket.read()) }

    /// Greets and accepts the capabilities.
    func greet() async throws {
        try await say(#"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}"#)
        let command = try await receive()
        #expect(command["execute"] == "qmp_capabilities")
        try await say(#"{"return": {}, "id": \#(command["id"]?.integerValue ?? 0)}"#)
    }
}

@Suite("QMP client", .timeLimit(.minutes(1)))
struct QMPClientTests {
    private func shaken() async throws -> (QMPClient, Server) {
        let (client, server) = try Server.connected()
        async let greeting: Void = server.greet()
        try await client.handshake(timeout: .seconds(20))
        try await greeting
        return (client, server)
    }

    @Test("Answers find their commands, whatever their order, with events in between")
    func answers() async throws {
        let (client, server) = try await shaken()
        let status = Task { try await client.execute("query-status") }
        let first = try await server.receive()
        let version = Task { try await client.execute("query-version", ["full": true]) }
        let second = try await server.receive()
        #expect(first["execute"] == "query-status")
        #expect(second["arguments"]?["full"] == true)
        try await server.say(#"{"return": {"major": 7}, "id": \#(second["id"]?.integerValue ?? 0)}"#)
        try await server.say(
            #"{"timestamp": {"seconds": 2, "microseconds": 5}, "event": "RESET", "data": {"guest": true}}"#)
        try await server.say("")
        try await server.say(#"{"return": {"status": "running"}, "id": \#(first["id"]?.integerValue ?? 0)}"#)
        #expect(try await status.value["status"] == "running")
        #expect(try await version.value["major"] == 7)
        server.socket.close()
        var events: [QMPEvent] = []
        for await event in client.events { events.append(event) }
        #expect(events == [QMPEvent(.reset, ["guest": true], time: 2_000_005)])
    }

    @Test("Orders are on their way before the machine listens, in their order")
    func orders() async throws {
        let (client, server) = try Server.connected()
        let commands = [QMPCommand("migrate-incoming", ["uri": "fd:7"]), QMPCommand(.resume)]
        let handshake = Task { try await client.handshake(timeout: .seconds(20), then: commands) }
        var received: [UInt8] = []
        while received.filter({ $0 == UInt8(ascii: "\n") }).count < 3 { received += try await server.socket.read() }
        let lines = try received.split(separator: UInt8(ascii: "\n")).map { try JSONValue(parsing: Array($0)) }
        #expect(lines.map { $0["execute"]?.stringValue } == ["qmp_capabilities", "migrate-incoming", "cont"])
        try await server.say(#"{"QMP": {}}"#)
        for line in lines.dropLast() {
            try await server.say(#"{"return": {"n": 1}, "id": \#(line["id"]?.integerValue ?? 0)}"#)
        }
        let answers = try await handshake.value
        #expect(try await answers.first?.value()["n"] == 1)
        server.socket.close()
        await #expect(throws: QMPError.closed) { try await answers.last?.value() }
    }

    @Test("A refusal is an error in QEMU's words")
    func refusal() async throws {
        let (client, server) = try await shaken()
        let answer = Task { try await client.execute("no-such") }
        let command = try await server.receive()
        try await server.say(
            #"{"id": \#(command["id"]?.integerValue ?? 0), "error": {"class": "CommandNotFound", "desc": "not found"}}"#
        )
        let expected = QMPError.refused(
            command: "no-such", QMPRefusal("not found", .commandNotFound))
        await #expect(throws: expected) { try await answer.value }
    }

    @Test("The connection's end ends every wait; later commands fail at once")
    func closed() async throws {
        let (client, server) = try await shaken()
        let first = Task { try await client.execute("stop") }
        _ = try await server.receive()
        server.socket.close()
        await #expect(throws: QMPError.closed) { try await first.value }
        await #expect(throws: QMPError.closed) { try await client.execute("cont") }
    }

    @Test("A server that says nothing is given up at the deadline; a late answer harms nothing")
    func silence() async throws {
        let (client, server) = try await shaken()
        await #expect(throws: QMPError.silent(command: "stop")) {
            try await client.execute("stop", timeout: .milliseconds(20))
        }
        let stop = try await server.receive()
        try await server.say(#"{"return": {}, "id": \#(stop["id"]?.integerValue ?? 0)}"#)
        let next = Task { try await client.execute("cont") }
        let command = try await server.receive()
        try await server.say(#"{"return": {"n": 1}, "id": \#(command["id"]?.integerValue ?? 0)}"#)
        #expect(try await next.value["n"] == 1)
        let (mute, server2) = try Server.connected()
        await #expect(throws: QMPError.silent(command: "greeting")) {
            try await mute.handshake(timeout: .milliseconds(20))
        }
        server2.socket.close()
    }

    @Test("What is not QMP ends the connection", arguments: ["garbage", #"{"error": {"desc": "bad syntax"}}"#])
    func malformed(line: String) async throws {
        let (client, server) = try await shaken()
        let answer = Task { try await client.execute("stop") }
        _ = try await server.receive()
        try await server.say(line)
        let error = await #expect(throws: QMPError.self) { try await answer.value }
        guard case .malformed = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("A message without end is not kept without end")
    func endlessLine() async throws {
        let (client, server) = try await shaken()
        let answer = Task { try await client.execute("stop") }
        _ = try await server.receive()
        let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
        do {
            for _ in 0..<8 { try await server.socket.write(chunk) }
        } catch {}
        server.socket.close()
        let error = await #expect(throws: QMPError.self) { try await answer.value }
        guard case .malformed = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("A cancelled command ends at once")
    func cancelled() async throws {
        let (client, server) = try await shaken()
        let running = Task { try await client.execute("stop", timeout: .seconds(50)) }
        _ = try await server.receive()
        running.cancel()
        await #expect(throws: CancellationError.self) { try await running.value }
    }
}
