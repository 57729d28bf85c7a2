/// Extracts a framed answer from a byte stream: drops bytes before the begin marker, passes on the output exactly, and parses the
/// exit status behind the end marker. Memory is bounded: only possible parts of a marker are kept back.
struct FrameScanner {
    private enum Place {
        case before, output, status, ended
    }

    enum Progress: Equatable {
        /// The end is not there yet.
        case more
        /// The answer ended with this status; `rest` is the index in the piece behind it.
        case ended(status: Int32, rest: Int)
        /// Behind the end marker there is no number.
        case garbled(String)
    }

    /// Longer than any status.
    private static let longestStatus = 16

    private let begin: [UInt8]
    private let end: [UInt8]
    private let hasStatus: Bool
    private var place: Place
    private var held: [UInt8] = []
    /// Output passed on so far.
    private(set) var bytes = 0

    init(_ exchange: Exchange) {
        begin = exchange.begin
        end = exchange.end
        hasStatus = exchange.hasStatus
        place = begin.isEmpty ? .output : .before
    }

    /// For bytes up to a marker, or to their end.
    init(upTo marker: [UInt8]) { self.init(Exchange(text: [], begin: [], end: marker, hasStatus: false)) }

    /// Passes on what comes before the marker.
    mutating func pass(_ piece: ArraySlice<UInt8>, to output: (ArraySlice<UInt8>) -> Void) {
        if place != .ended, take(piece, output: output) != .more { (place, held) = (.ended, []) }
    }

    /// What may have begun the marker, when no more comes.
    mutating func finish() -> ArraySlice<UInt8> {
        defer { held = [] }
        return held[...]
    }

    /// Whether the guest has begun to run the command.
    var hasBegun: Bool { place != .before }

    mutating func take(_ piece: ArraySlice<UInt8>, output: (ArraySlice<UInt8>) -> Void) -> Progress {
        let kept = held.count
        var rest = kept == 0 ? piece : (held + piece)[...]
        held = []
        // An index of `rest` as one of `piece`: never negative, because the kept bytes were no whole answer.
        let shift = piece.startIndex - (kept == 0 ? piece.startIndex : kept)

        if place == .before {
            guard let start = firstIndex(of: begin, in: rest) else {
                held = Array(rest.suffix(possibleStart(of: begin, atEndOf: rest)))
                return .more
            }
            rest = rest[(start + begin.count)...]
            place = .output
        }
        if place == .output {
            let start = firstIndex(of: end, in: rest)
            let stop = start ?? rest.endIndex - possibleStart(of: end, atEndOf: rest)
            if stop > rest.startIndex {
                bytes += stop - rest.startIndex
                output(rest[..<stop])
            }
            guard let start else {
                held = Array(rest[stop...])
                return .more
            }
            rest = rest[(start + end.count)...]
            place = .status
        }
        guard hasStatus else { return .ended(status: 0, rest: rest.startIndex + shift) }
        guard let newline = rest.firstIndex(of: UInt8(ascii: "\n")) else {
            held = Array(rest)
            return rest.count > Self.longestStatus ? .garbled(text(of: rest)) : .more
        }
        var digits = rest[..<newline]
        while let last = digits.last, last == UInt8(ascii: "\r") || last == UInt8(ascii: " ") { digits.removeLast() }
        guard let status = status(in: text(of: digits)) else { return .garbled(text(of: digits)) }
        return .ended(status: Int32(truncatingIfNeeded: status), rest: newline + 1 + shift)
    }

    private func status(in text: String) -> Int64? {
        let value = text.hasPrefix("0x") ? Int64(text.dropFirst(2), radix: 16) : Int64(text)
        return value.flatMap { (-0x8000_0000...0xffff_ffff).contains($0) ? $0 : nil }
    }

    private func text(of bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.prefix(Self.longestStatus), as: UTF8.self)
    }
}
