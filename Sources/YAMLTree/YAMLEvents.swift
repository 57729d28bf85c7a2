import CYAML

/// libyaml's parser, owned: freed exactly once, with the text it reads. On the heap, because libyaml keeps its address.
struct YAMLEvents: ~Copyable {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let input: UnsafeMutableBufferPointer<UInt8>

    /// A parser at the start of `text`; nil when libyaml finds no memory.
    init?(_ text: String) {
        let bytes = Array(text.utf8)
        input = .allocate(capacity: max(bytes.count, 1))
        _ = input.update(fromContentsOf: bytes)
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        guard yaml_parser_initialize(parser) == 1 else {
            parser.deallocate()
            input.deallocate()
            return nil
        }
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, input.baseAddress, bytes.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
        input.deallocate()
    }

    /// The next event as Swift values; nil after an error, which `problem` describes.
    func next() -> YAMLEvent? {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { return nil }
        defer { yaml_event_delete(&event) }
        return YAMLEvent(event)
    }

    /// libyaml's description of its error.
    var problem: YAMLSyntaxProblem {
        func text(_ pointer: UnsafePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }
        let raw = parser.pointee
        return YAMLSyntaxProblem(
            problem: text(raw.problem), context: text(raw.context), mark: raw.problem_mark,
            contextMark: raw.context_mark, byte: raw.error == YAML_READER_ERROR ? Int(raw.problem_offset) : nil)
    }
}

struct YAMLSyntaxProblem {
    var problem: String
    var context: String
    var mark: yaml_mark_t
    var contextMark: yaml_mark_t
    /// The offset in the input, for errors of its characters; `mark` means nothing then.
    var byte: Int?
}

struct YAMLEvent {
    enum Kind {
        case streamStart, streamEnd, documentStart, documentEnd
        case alias(String)
        case scalar(YAMLScalar, anchor: String?, tag: String?)
        case sequenceStart(anchor: String?, tag: String?)
        case mappingStart(anchor: String?, tag: String?)
        case collectionEnd
    }

    let kind: Kind
    let start: yaml_mark_t
    let end: yaml_mark_t

    init(_ event: yaml_event_t) {
        func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
            pointer.map { String(cString: $0) }
        }
        start = event.start_mark
        end = event.end_mark
        switch event.type {
        case YAML_STREAM_START_EVENT: kind = .streamStart
        case YAML_DOCUMENT_START_EVENT: kind = .documentStart
        case YAML_DOCUMENT_END_EVENT: kind = .documentEnd
        case YAML_ALIAS_EVENT: kind = .alias(text(event.data.alias.anchor) ?? "")
        case YAML_SCALAR_EVENT:
            let raw = event.data.scalar
            let bytes = UnsafeBufferPointer(start: raw.value, count: raw.length)
            let style: YAMLScalar.Style =
                switch raw.style {
                case YAML_SINGLE_QUOTED_SCALAR_STYLE: .singleQuoted
                case YAML_DOUBLE_QUOTED_SCALAR_STYLE: .doubleQuoted
                case YAML_LITERAL_SCALAR_STYLE: .literal
                case YAML_FOLDED_SCALAR_STYLE: .folded
                default: .plain
                }
            kind = .scalar(
                YAMLScalar(String(decoding: bytes, as: UTF8.self), style: style), anchor: text(raw.anchor),
                tag: text(raw.tag))
        case YAML_SEQUENCE_START_EVENT:
            kind = .sequenceStart(
                anchor: text(event.data.sequence_start.anchor), tag: text(event.data.sequence_start.tag))
        case YAML_MAPPING_START_EVENT:
            kind = .mappingStart(anchor: text(event.data.mapping_start.anchor), tag: text(event.data.mapping_start.tag))
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: kind = .collectionEnd
        default: kind = .streamEnd
        }
    }
}
