import CLinux
import Glibc
import LabTestSupport
import Testing

@testable import HostSystem

extension StreamSocket {
    /// Two sockets connected to each other.
    fileprivate static func pair() throws -> (StreamSocket, StreamSocket) {
        let pair = try DescriptorPair.socketPair()
        return (try StreamSocket(owning: pair.first), try StreamSocket(owning: pair.second))
    }
}

@Suite("Event loop and sockets")
struct EventLoopTests {
    @Test("Bytes cross a pair, in order and in full, also when the reader is slow to begin", .timeLimit(.minutes(1)))
    func bytesCross() async throws {
        let (left, right) = try StreamSocket.pair()
        let sent = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        async let writing: Void = {
            try await left.write(sent)
            left.close()
        }()
        var received: [UInt8] = []
        while true {
            let bytes = try await right.read()
            if bytes.isEmpty { break }
            #expect(bytes.count <= StreamSocket.readLimit)
            received += bytes
        }
        try await writing
        #expect(received == sent)
    }

    @Test("A cancelled read ends at once and the socket still works", .timeLimit(.minutes(1)))
    func cancelledRead() async throws {
        let (left, right) = try StreamSocket.pair()
        let reading = Task { try await right.read() }
        await Task.yield()
        reading.cancel()
        await #expect(throws: CancellationError.self) { try await reading.value }
        try await left.write([1, 2, 3])
        #expect(try await right.read() == [1, 2, 3])
    }

    @Test("Closing wakes a waiting read, which returns the end", .timeLimit(.minutes(1)))
    func closeWakes() async throws {
        for _ in 0..<200 {
            let (left, right) = try StreamSocket.pair()
            let reading = Task { try await right.read() }
            if Bool.random() { await Task.yield() }
            right.close()
            #expect(try await reading.value == [])
            left.close()
        }
    }

    @Test("Writing to a closed peer throws EPIPE and does not kill the process", .timeLimit(.minutes(1)))
    func brokenPipe() async throws {
        let (left, right) = try StreamSocket.pair()
        right.close()
        let error = await #expect(throws: SystemCallError.self) { try await left.write([1]) }
        #expect(error?.errno == EPIPE)
    }

    @Test("Many sockets ping-pong at once, some cancelled at random: nothing hangs", .timeLimit(.minutes(1)))
    func stress() async throws {
        try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<64 {
                group.addTask {
                    let (left, right) = try StreamSocket.pair()
                    let echo = Task {
                        while true {
                            let bytes = try await right.read()
                            if bytes.isEmpty { return }
                            try await right.write(bytes)
                        }
                    }
                    for round in 0..<50 {
                        let disturbed = Task { try await left.read() }
                        if (index + round) % 3 == 0 { await Task.yield() }
                        disturbed.cancel()
                        _ = try? await disturbed.value
                        try await left.write([UInt8(round)])
                        #expect(try await left.read() == [UInt8(round)])
                    }
                    left.close()
                    try await echo.value
                    return 1
                }
            }
            let finished = try await group.reduce(0, +)
            #expect(finished == 64)
        }
    }

    @Test("A socket path beyond the kernel's 107 bytes works by way of its folder")
    func longPath() async throws {
        try await withTemporaryFolder { folder in
            let deep = folder + "/" + String(repeating: "d", count: 120)
            #expect(mkdir(deep, 0o700) == 0)
            let listener = try ListeningSocket.bind(path: deep + "/socket")
            let client = try StreamSocket.connect(to: deep + "/socket")
            let server = try StreamSocket(owning: OwnedDescriptor(owning: vmlab_accept(listener.number)))
            try await client.write(Array("hello".utf8))
            #expect(try await server.read() == Array("hello".utf8))
            let name = String(repeating: "n", count: 120)
            let error = #expect(throws: SystemCallError.self) { _ = try ListeningSocket.bind(path: deep + "/" + name) }
            #expect(error?.errno == ENAMETOOLONG)
        }
    }

    @Test("A deadline cancels its operation; a result in time is returned", .timeLimit(.minutes(1)))
    func deadlines() async throws {
        let (left, right) = try StreamSocket.pair()
        await #expect(throws: DeadlineExceeded.self) {
            try await withDeadline(.now + .milliseconds(20)) { try await right.read() }
        }
        try await left.write([7])
        #expect(try await withDeadline(.now + .seconds(20)) { try await right.read() } == [7])
        let cancelled = Task { try await withDeadline(.now + .seconds(20)) { try await right.read() } }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
    }
}
