import Glibc
import HostSystem
import Patterns

extension Pattern {
    /// The least number of bytes read at a time.
    private static let pieceSize = 1 << 20

    /// Whether the pattern matches anywhere in a file. Only as much of the file is in memory as a match may span. Throws as
    /// `withSearchThread`, and a `SystemCallError` when the file cannot be read.
    func matches(somewhereInFile path: String, deadline: ContinuousClock.Instant) async throws -> Bool {
        try await withSearchThread(deadline: deadline) { stop in
            let file = try OwnedDescriptor.open(path, O_RDONLY)
            var stream = UTF8Stream()
            var text: [UInt8] = []
            var place = 0
            while true {
                // When a match may span all of the text, twice as much is read next: no text is searched many times.
                let piece = try read(max(Self.pieceSize, text.count), of: file, path)
                text += piece.isEmpty ? stream.finish() : stream.take(piece)
                let finding = try text.withUnsafeBytes {
                    try search($0, from: place, ending: piece.isEmpty ? .final : .open, stop: stop)
                }
                guard case .nothing(let resume) = finding else { return true }
                if piece.isEmpty { return false }
                let kept = contextStart(before: resume, in: text)
                text.removeFirst(kept)
                place = resume - kept
            }
        }
    }

    private func read(_ count: Int, of file: borrowing OwnedDescriptor, _ path: String) throws(SystemCallError)
        -> [UInt8]
    {
        var piece = [UInt8](repeating: 0, count: count)
        let length = try systemCall("read", path) { Glibc.read(file.number, &piece, count) }
        return Array(piece.prefix(length))
    }
}
