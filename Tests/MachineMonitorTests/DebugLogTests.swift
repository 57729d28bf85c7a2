import Glibc
import HostSystem
import LabTestSupport
import Testing

@testable import MachineMonitor

@Suite("The debug port's log", .timeLimit(.minutes(1)))
struct DebugLogTests {
    /// Reads lines until `count` marks have come or were told to be lost.
    private func read(_ number: Int32, marks count: UInt64) async throws -> [[UInt64]] {
        var text: [UInt8] = []
        var lines: [[UInt64]] = []
        var marks: UInt64 = 0
        let isComplete = try await eventually {
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            let got = Glibc.read(number, &bytes, bytes.count)
            if got > 0 { text += bytes[..<got] }
            while let end = text.firstIndex(of: UInt8(ascii: "\n")) {
                let words = String(decoding: text[..<end], as: UTF8.self).split(separator: " ")
                text.removeSubrange(...end)
                lines.append(words.compactMap { UInt64($0) })
                marks += words.first == "lost" ? lines.last?.first ?? 0 : 1
            }
            return marks >= count
        }
        #expect(isComplete && marks == count && text.isEmpty, "\(marks) marks")
        return lines
    }

    @Test("Each mark is a line with its time and exits, in order, to a pipe, a socket and a file", arguments: 0..<3)
    func order(_ kind: Int) async throws {
        try await withTemporaryFolder { folder in
            let pair = kind == 0 ? try DescriptorPair.pipe() : try DescriptorPair.socketPair()
            let path = "\(folder)/log"
            let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT)
            let written = try OwnedDescriptor.open(path, O_RDONLY)
            let (source, target) =
                kind == 2 ? (written.number, file.number) : (pair.first.number, pair.second.number)
            #expect(fcntl(source, F_SETFL, fcntl(source, F_GETFL) | O_NONBLOCK) == 0)
            let lines = try await withReactor { reactor in
                let log = try DebugLog(target, reactor: reactor)
                for index in 0..<100 { log.note(UInt8(index), exits: UInt64(index * 7)) }
                let lines = try await read(source, marks: 100)
                withExtendedLifetime(log) {}
                return lines
            }
            #expect(lines.map { $0.first } == (0..<100).map { UInt64($0) })
            #expect(lines.map { $0.last } == (0..<100).map { UInt64($0 * 7) })
            let times = lines.map { $0[1] }
            #expect(times == times.sorted())
            // They live until here.
            _ = (pair.first.isOpen, pair.second.isOpen, file.isOpen, written.isOpen)
        }
    }

    @Test("What a slow reader has no room for is counted; what waits is bounded")
    func slowReader() async throws {
        let pipe = try DescriptorPair.pipe()
        let source = pipe.first.number
        #expect(fcntl(source, F_SETFL, O_NONBLOCK) == 0)
        try await withReactor { reactor in
            let log = try DebugLog(pipe.second.number, reactor: reactor)
            for _ in 0..<200_000 { log.note(1, exits: 0) }
            let lines = try await read(source, marks: 200_000)
            // Some were lost, and nothing like all of them waited.
            #expect(lines.contains { $0.count == 1 })
            #expect(lines.count < 100_000)
            // Then it goes on.
            log.note(9, exits: 5)
            #expect(try await read(source, marks: 1).map { [$0[0], $0[2]] } == [[9, 5]])
        }
    }

    @Test("When nobody reads any more the machine goes on")
    func noReader() async throws {
        signal(SIGPIPE, SIG_IGN)
        var pipe = try DescriptorPair.pipe()
        let target = pipe.second.number
        pipe.first.close()
        try await withReactor { reactor in
            let log = try DebugLog(target, reactor: reactor)
            for mark in 0..<20_000 { log.note(UInt8(truncatingIfNeeded: mark), exits: 0) }
            #expect(try await reactor.on { true })
            withExtendedLifetime(log) {}
        }
        // It lives until here.
        _ = pipe.second.isOpen
    }
}
