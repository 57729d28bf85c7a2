import Glibc
import HostSystem
import Patterns

extension Pattern {
    /// How much of a file is read at a time, at least.
    private static let pieceSize = 1 << 20

    /// Whether the pattern matches somewhere in the text of a file. Of the file only so much is in memory as a match may reach
    /// over. Throws as `withSearchThread`, and a `SystemCallError` when the file cannot be read.
    func matches(somewhereInFile path: String, deadline: ContinuousClock.Instant) async throws -> Bool {
        try await withSearchThread(deadline: deadline) { stop in
            let file = try OwnedDescriptor.open(path, O_RDONLY)
            var stream = UTF8Stream()
            var text: [UInt8] = []
            var place = 0
            while true {
                // Where a match may reach over all that is there, twice as much the next time: no text is searched often.
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
