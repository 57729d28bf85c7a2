import Foundation
import Glibc
import HostSystem
import LabTestSupport
import Synchronization
import Testing

@testable import MachineMonitor

@Suite("Byte streams of a machine", .timeLimit(.minutes(1)))
struct StreamTests {
    @Test("A client who comes late gets the end of what was said before, and then what is said")
    func history() async throws {
        try await withTemporaryFolder { folder in
            try await withReactor { reactor in
                let path = folder + "/com2"
                let port = try StreamPort(.socket(path), history: 100, reactor: reactor)
                var handlers = StreamPort.Handlers()
                handlers.received = { [weak port] in port?.send($0.reversed()) }
                let echo = handlers
                try await reactor.on {
                    try port.start(echo)
                    for number in 0..<1000 { port.send([UInt8(truncatingIfNeeded: number)]) }
                }
                let client = try StreamSocket.connect(to: path)
                var received: [UInt8] = []
                while received.count < 100 { received += try await client.read() }
                #expect(received == (900..<1000).map { UInt8(truncatingIfNeeded: $0) })
                try await client.write(Array("abc".utf8))
                #expect(try await client.read() == Array("cba".utf8))
                try await reactor.on { port.close() }
                #expect(try await client.read() == [])
            }
        }
    }

    @Test("While input is paused the client waits; nothing is lost, also when it has gone meanwhile")
    func paused() async throws {
        try await withReactor { reactor in
            let pair = try DescriptorPair.socketPair()
            let number = pair.second.release()
            let client = try StreamSocket(owning: pair.first)
            let port = try StreamPort(.descriptor(number), history: 0, reactor: reactor)
            let received = Mutex<[UInt8]>([])
            let gone = Completion<Void>()
            var handlers = StreamPort.Handlers()
            handlers.received = { bytes in received.withLock { $0 += bytes } }
            handlers.disconnected = { gone.fulfil() }
            let noted = handlers
            try await reactor.on {
                port.pauseInput(true)
                try port.start(noted)
            }
            try await client.write([1, 2, 3])
            // A round of the loop after the bytes came: had they been read, they would be here.
            try await reactor.on {}
            #expect(received.withLock { $0 } == [])
            client.close()
            try await withDeadline(.now + .seconds(20)) { try await gone.wait() }
            #expect(received.withLock { $0 } == [1, 2, 3])
        }
    }

    @Test("A client may end its own side and still hear the answer")
    func halfClosed() async throws {
        try await withReactor { reactor in
            let pair = try DescriptorPair.socketPair()
            let number = pair.second.release()
            let port = try StreamPort(.descriptor(number), history: 0, reactor: reactor)
            let received = Completion<Void>()
            var handlers = StreamPort.Handlers()
            handlers.received = { _ in received.fulfil() }
            let noted = handlers
            try await reactor.on { try port.start(noted) }
            let end = pair.first.release()
            #expect(write(end, "x", 1) == 1)
            shutdown(end, Int32(SHUT_WR))
            let client = try StreamSocket(owning: OwnedDescriptor(owning: end))
            try await withDeadline(.now + .seconds(20)) { try await received.wait() }
            try await reactor.on { port.send(Array("answer".utf8)) }
            #expect(try await client.read() == Array("answer".utf8))
            try await reactor.on { port.close() }
        }
    }

    @Test("Last words reach a slow client, but are not waited for without end")
    func finish() async throws {
        try await withReactor { reactor in
            let pair = try DescriptorPair.socketPair()
            let number = pair.second.release()
            let client = try StreamSocket(owning: pair.first)
            let port = try StreamPort(.descriptor(number), history: 0, reactor: reactor)
            try await reactor.on {
                try port.start(StreamPort.Handlers())
                port.send([UInt8](repeating: 7, count: 1 << 20))
            }
            #expect(port.queued > 0)
            let started = ContinuousClock.now
            try await reactor.on { port.finish(milliseconds: 20) }
            #expect(ContinuousClock.now - started < .seconds(10))
            async let received = {
                var count = 0
                while count < 1 << 20 { count += try await client.read().count }
                return count
            }()
            try await reactor.on { port.finish(milliseconds: 10_000) }
            #expect(port.queued == 0)
            #expect(try await received == 1 << 20)
            try await reactor.on { port.close() }
        }
    }

    @Test("Ctrl-A and a key are for the monitor, also when they come one by one")
    func keys() {
        var keys = TerminalKeys()
        #expect(keys.typed(Array("ab\u{1}\u{1}c".utf8)) == .init(bytes: Array("ab\u{1}c".utf8)))
        #expect(keys.typed([1]) == .init())
        #expect(keys.typed(Array("hd".utf8)) == .init(bytes: Array("d".utf8), wantsHelp: true))
        #expect(keys.typed([1, 0x7a, 1]) == .init())
        #expect(keys.typed(Array("x".utf8)) == .init(wantsQuit: true))
    }
}

@Suite("Signals of a machine's process", .serialized)
struct SignalTests {
    @Test("A signal is an event of the reactor")
    func signals() async throws {
        let received = Completion<Int32>()
        let reactor = try Reactor()
        // A signal that nobody here uses; the thread that is sent it is the one that listens.
        let ended = Completion<Void>()
        Thread.detachNewThread {
            let port = try? SignalPort([SIGWINCH], reactor: reactor) { number in
                received.fulfil(number)
                reactor.stop()
            }
            pthread_kill(pthread_self(), SIGWINCH)
            reactor.run()
            withExtendedLifetime(port) {}
            ended.fulfil()
        }
        #expect(try await withDeadline(.now + .seconds(20)) { try await received.wait() } == SIGWINCH)
        await ended.value()
    }
}
