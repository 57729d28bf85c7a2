import JSON
import QMP
import Testing

@Suite("The QEMU Machine Protocol")
struct QMPTests {
    @Test(
        "Messages are cut where their brackets close, however the bytes come",
        arguments: [1, 2, 3, 7, 1000])
    func messages(chunk: Int) {
        let text = Array("{\"a\": \"}\\\"]\"} [1,{}]\r\n\n what is this \n{\n}}]\n".utf8)
        var splitter = MessageSplitter(limit: 20)
        var pieces: [MessageSplitter.Piece] = []
        for start in stride(from: 0, to: text.count, by: chunk) {
            pieces += splitter.take(Array(text[start..<min(start + chunk, text.count)]))
        }
        let wanted = ["{\"a\": \"}\\\"]\"}", "[1,{}]", "what is this \n", "{\n}", "}", "]"]
        #expect(pieces == wanted.map { .message(Array($0.utf8)) })
        var small = MessageSplitter(limit: 4)
        #expect(small.take(Array("[1] [1,2] [3]".utf8)) == [.message(Array("[1]".utf8)), .tooLong])
    }

    @Test(
        "One side reads what the other says",
        arguments: [
            .greeting(version: ["qemu": ["major": 7]]), .answer(["a": [1]], id: 4), .answer([:], id: nil),
            .refusal(QMPRefusal("no such command", .commandNotFound), id: "x"), .refusal(QMPRefusal("cannot"), id: nil),
            .event(.reset(.guestReset)), .event(.shutdown(.quit)), .event(QMPEvent(.stop, time: 2_000_005)),
        ] as [QMPMessage])
    func messages(message: QMPMessage) {
        #expect(QMPMessage(message.json) == message)
    }

    @Test("An event has its time in seconds and microseconds, and tells who brought it about")
    func event() throws {
        let text = #"{"timestamp": {"seconds": 2, "microseconds": 5}, "event": "RESET", "data": {"guest": true}}"#
        let event = QMPEvent(.reset, ["guest": true], time: 2_000_005)
        #expect(QMPMessage(try JSONValue(parsing: text)) == .event(event))
        #expect(event.isByGuest && QMPEvent.shutdown(.guestShutdown).isByGuest)
        #expect(!QMPEvent.shutdown(.signal).isByGuest && !QMPEvent(.stop).isByGuest)
    }

    @Test("A class of errors that nobody tells apart is a generic one; an object that is no message is nil")
    func strangers() {
        let error: JSONValue = ["error": ["class": "DeviceNotFound", "desc": "no disk"], "id": 1]
        #expect(QMPMessage(error) == .refusal(QMPRefusal("no disk"), id: 1))
        #expect(QMPMessage(["id": 1]) == nil && QMPMessage([]) == nil)
    }

    @Test("A command is read as it was sent")
    func commands() throws {
        let commands = [
            QMPCommand(.stop), QMPCommand(.setAction, [QMPCommand.Argument.shutdown: "pause"], id: 3),
        ]
        for command in commands { #expect(try QMPCommand(command.json) == command) }
        let refusal = #expect(throws: QMPRefusal.self) {
            try QMPCommand(["execute": "stop", "x": 1])
        }
        #expect(refusal == QMPRefusal("QMP input member 'x' is unexpected"))
    }

    @Test("A machine's state is read as it was told; what nobody asks about is nil")
    func states() {
        for state in [RunState.running, .saved, .internalError] { #expect(RunState(answer: state.answer) == state) }
        #expect(RunState.paused.answer["running"] == false)
        #expect(RunState(answer: ["status": "inmigrate", "running": false]) == nil)
    }
}
