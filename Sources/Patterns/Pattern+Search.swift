extension Pattern {
    /// What follows the text of a search.
    public enum Ending: Sendable, Hashable {
        /// Nothing: it is the whole text.
        case final
        /// More may come: a match that this could lengthen or undo does not count yet.
        case open
        /// More may come, but the first match counts: `\$ $` matches a prompt that waits.
        case prompt
    }

    /// The result of a search.
    public enum Finding: Sendable, Hashable {
        /// The first match: all of it, then its groups; nil for one that took no part.
        case match([Range<Int>?])
        /// There is none. With more text, continue the search here, with the text from `contextStart` before it.
        case nothing(resume: Int)
    }

    /// Searches a text of valid UTF-8 from a place; blocks, see `withSearchThread`. Throws `tooLarge`, and `stopped` soon after
    /// `stop`.
    public func search(
        _ text: UnsafeRawBufferPointer, from start: Int = 0, ending: Ending = .final, stop: SearchStop
    ) throws(PatternFailure) -> Finding {
        let matcher = Matcher(code, stop)
        var pace = Pace(size: text.count)
        var place = start
        var firstPartial: Int?
        // Between two slices the search can be stopped. A slice is so many places at which a match may begin.
        while true {
            if stop.isStopped { throw .stopped }
            let isLast = text.count - place <= pace.slice
            let last = isLast ? text.count : text.end(ofSliceAt: place + pace.slice)
            let began = ContinuousClock.now
            var status = matcher.run(
                code.fast, text, from: place, last: isLast ? nil : last, backtracks: pace.backtracks,
                partial: ending.flag)
            let isCareful = status == .backtracks
            if isCareful {
                status = matcher.run(
                    code.careful, text, from: place, last: nil, backtracks: .max, partial: ending.flag)
            }
            switch status {
            case .match: return .match(matcher.ranges)
            case .stopped: throw .stopped
            case .memory, .backtracks: throw .tooLarge(pattern: self.text)
            case .partial where ending == .open:
                return .nothing(resume: matcher.ranges.first??.lowerBound ?? place)
            case .partial:
                firstPartial = firstPartial ?? matcher.ranges.first??.lowerBound
            case .none: break
            }
            if isLast || isCareful { return .nothing(resume: firstPartial ?? text.count) }
            place = text.start(after: last)
            pace.adapt(to: began.duration(to: .now))
        }
    }

    /// As `search`, limited to a few milliseconds: for short texts. Throws `tooSlow` beyond that.
    public func quickSearch(
        _ text: UnsafeRawBufferPointer, from start: Int = 0, ending: Ending = .final
    ) throws(PatternFailure) -> Finding {
        let matcher = Matcher(code, SearchStop(steps: 200_000))
        switch matcher.run(code.careful, text, from: start, last: nil, backtracks: .max, partial: ending.flag) {
        case .match: return .match(matcher.ranges)
        case .partial: return .nothing(resume: matcher.ranges.first??.lowerBound ?? start)
        case .none: return .nothing(resume: text.count)
        case .stopped, .backtracks: throw .tooSlow(pattern: self.text)
        case .memory: throw .tooLarge(pattern: self.text)
        }
    }
}

extension Pattern {
    /// Whether the pattern matches somewhere in a short text. Throws as `quickSearch`.
    public func quicklyMatches(_ text: String) throws(PatternFailure) -> Bool {
        var text = text
        // Typed throws do not pass through `withUTF8` yet.
        let finding = text.withUTF8 { bytes in
            Result { () throws(PatternFailure) in try quickSearch(UnsafeRawBufferPointer(bytes)) }
        }
        if case .match = try finding.get() { return true }
        return false
    }
}

/// The part of a search done at a time: some hundredths of a second.
private struct Pace {
    /// Places at which a match may begin.
    private(set) var slice = 64
    /// The limit of backtracking from each of them; each step may cost a walk through all of the text.
    let backtracks: UInt32

    init(size: Int) { backtracks = UInt32(min(max((1 << 32) / max(size, 1), 1000), 1_000_000)) }

    mutating func adapt(to time: Duration) {
        if time < .milliseconds(20) { slice = min(slice * 4, 16 << 10) }
        if time > .milliseconds(100) { slice = max(slice / 4, 1) }
    }
}

extension UnsafeRawBufferPointer {
    /// The place, or the one before it within a line end, where PCRE2 would match.
    fileprivate func end(ofSliceAt place: Int) -> Int { isWithinLineEnd(place) ? place - 1 : place }

    /// The next place behind `place` at which a match may begin: not within a character, nor within a line end.
    fileprivate func start(after place: Int) -> Int {
        var next = place + 1
        while next < count, self[next] & 0xC0 == 0x80 { next += 1 }
        return isWithinLineEnd(next) ? next + 1 : next
    }

    private func isWithinLineEnd(_ place: Int) -> Bool {
        place < count && self[place] == UInt8(ascii: "\n") && self[place - 1] == UInt8(ascii: "\r")
    }
}
