import CPCRE2

/// PCRE2's data for one search: the result, limits, and a stack.
struct Matcher: ~Copyable {
    /// Limit of the memory for backtracking, in bytes.
    static let memory = 64 << 20

    private let result: OpaquePointer?
    private let context: OpaquePointer?
    private let stack: OpaquePointer?
    private let stop: SearchStop

    init(_ code: PatternCode, _ stop: SearchStop) {
        self.stop = stop
        result = pcre2_match_data_create_from_pattern_8(code.fast, nil)
        context = pcre2_match_context_create_8(nil)
        // Grows as it is used.
        stack = pcre2_jit_stack_create_8(32 << 10, Self.memory, nil)
        pcre2_jit_stack_assign_8(context, nil, stack.map { UnsafeMutableRawPointer($0) })
        pcre2_set_heap_limit_8(context, UInt32(Self.memory >> 10))
        pcre2_set_callout_8(
            context,
            { _, stop in
                guard let stop else { return PCRE2_ERROR_CALLOUT }
                return Unmanaged<SearchStop>.fromOpaque(stop).takeUnretainedValue().step() ? 0 : PCRE2_ERROR_CALLOUT
            }, Unmanaged.passUnretained(stop).toOpaque())
    }

    deinit {
        pcre2_jit_stack_free_8(stack)
        pcre2_match_context_free_8(context)
        pcre2_match_data_free_8(result)
    }

    enum Status {
        case match, partial, none
        /// From some place on it backtracked more often than the limit allows.
        case backtracks
        case stopped
        case memory
    }

    /// Searches for a match that begins at `start` or later, at most at `last`. `backtracks` limits backtracking from each place.
    /// The text is valid UTF-8, and `start` is not within a character.
    func run(
        _ code: OpaquePointer, _ text: UnsafeRawBufferPointer, from start: Int, last: Int?, backtracks: UInt32,
        partial: UInt32
    ) -> Status {
        pcre2_set_offset_limit_8(context, last ?? -1)
        pcre2_set_match_limit_8(context, backtracks)
        let status = pcre2_match_8(
            code, text.baseAddress?.assumingMemoryBound(to: UInt8.self), text.count, start,
            PCRE2_NO_UTF_CHECK | partial,
            result, context)
        switch status {
        case PCRE2_ERROR_NOMATCH: return .none
        case PCRE2_ERROR_PARTIAL: return .partial
        case PCRE2_ERROR_MATCHLIMIT: return .backtracks
        case PCRE2_ERROR_CALLOUT: return .stopped
        case 0...: return .match
        // A stack, the heap or the allocator that has no more.
        default: return .memory
        }
    }

    /// The last match or partial match: all of it, then its groups; nil for a group that took no part.
    var ranges: [Range<Int>?] {
        let count = Int(pcre2_get_ovector_count_8(result))
        guard let vector = pcre2_get_ovector_pointer_8(result) else { return [] }
        return (0..<count).map { place in
            let (start, end) = (vector[2 * place], vector[2 * place + 1])
            // A group that took no part has the greatest offset, -1 here; `\K` may put a start behind its end.
            return start < 0 ? nil : min(start, end)..<end
        }
    }
}
