import Glibc
import LabTestSupport
import Testing

@testable import HostSystem

@Suite("Datagram socket", .timeLimit(.minutes(1)))
struct DatagramSocketTests {
    private func send(_ socket: DatagramSocket, _ bytes: [UInt8]) -> DatagramSocket.Sent {
        bytes.withUnsafeBytes { socket.send($0) }
    }

    private func receive(_ socket: DatagramSocket) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 2000)
        return buffer.withUnsafeMutableBytes { socket.receive(into: $0) }.map { Array(buffer[..<$0]) }
    }

    private func isWritable(_ number: Int32) -> Bool {
        var ready = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        return poll(&ready, 1, 0) == 1
    }

    // Few large ones fill the sender's buffer, many small ones the receiver's queue.
    @Test("A full receiver is waited for, not asked again and again", arguments: [1, 60_000])
    func full(size: Int) async throws {
        try await withTemporaryFolder { folder in
            let left = try DatagramSocket(path: folder + "/left", peer: folder + "/right")
            let right = try DatagramSocket(path: folder + "/right", peer: folder + "/left")
            var count = 0
            while send(left, [UInt8](repeating: 7, count: size)) == .delivered { count += 1 }
            #expect(send(left, [1]) == .full)
            #expect(try !isWritable(left.sendable()))
            for _ in 0..<count { #expect(receive(right)?.first == 7) }
            #expect(receive(right) == nil)
            #expect(try isWritable(left.sendable()))
            #expect(send(left, [1]) == .delivered)
            #expect(receive(right) == [1])
            #expect(send(right, [2]) == .delivered)
            #expect(receive(left) == [2])
        }
    }

    @Test("S21: what a killed process left at the path is replaced, who lives there is not")
    func abandoned() async throws {
        try await withTemporaryFolder { folder in
            let left = try StreamSocket.makeSocket(SOCK_DGRAM)
            let address = try UnixAddress(folder + "/left")
            #expect(address.with { bind(left.number, $0, $1) } == 0)
            #expect(throws: SystemCallError("bind", errno: EADDRINUSE, folder + "/left")) {
                try DatagramSocket(path: folder + "/left", peer: folder + "/right")
            }
            _ = consume left
            let socket = try DatagramSocket(path: folder + "/left", peer: folder + "/right")
            socket.close()
            #expect(try FileTree.names(in: folder) == [])
        }
    }

    @Test("Nobody at the other path: what is sent is lost, until somebody comes")
    func nobody() async throws {
        try await withTemporaryFolder { folder in
            let left = try DatagramSocket(path: folder + "/left", peer: folder + "/right")
            #expect(send(left, [1]) == .lost)
            #expect(throws: SystemCallError("connect", errno: ENOENT, folder + "/right")) { try left.sendable() }
            do {
                let right = try DatagramSocket(path: folder + "/right", peer: folder + "/left")
                #expect(send(left, [1]) == .delivered)
                #expect(receive(right) == [1])
            }
            // It took its path with it. A process that another test was just starting may hold the socket a moment longer.
            #expect(try await eventually { send(left, [1]) == .lost })
            #expect(throws: SystemCallError("bind", errno: EADDRINUSE, folder + "/left")) {
                try DatagramSocket(path: folder + "/left", peer: folder + "/right")
            }
            withExtendedLifetime(left) { #expect(access(folder + "/left", F_OK) == 0) }
        }
    }
}
