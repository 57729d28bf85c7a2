import CYAML
import Diagnostics

/// Builds the tree from events, within limits.
struct YAMLComposer {
    let locator: Locator
    private let text: String
    private let limits: YAMLLimits
    private(set) var problems: [Diagnostic] = []
    private var anchors: [String: Anchored] = [:]
    private var openAnchors: Set<String> = []
    private var nodeCount = 0

    /// A finished anchor's tree and what it costs to use again.
    private struct Anchored {
        let node: YAMLNode
        let nodes: Int
        let height: Int
    }

    /// A composed node and how many collections deep it is.
    private struct Composed {
        var node: YAMLNode
        var height: Int
    }

    /// Reading cannot continue; `problems` has the reason.
    private struct Stopped: Error {}

    init(text: String, locator: Locator, limits: YAMLLimits) {
        self.text = text
        self.locator = locator
        self.limits = limits
    }

    /// The document's root, or nil for an empty text or after a problem that ends reading.
    mutating func compose() -> YAMLNode? {
        guard let events = YAMLEvents(text) else {
            problems.append(Diagnostic(.host, "out of memory while reading YAML"))
            return nil
        }
        do {
            return try document(events)
        } catch {
            return nil
        }
    }

    private mutating func document(_ events: borrowing YAMLEvents) throws(Stopped) -> YAMLNode? {
        var root: YAMLNode?
        var documents = 0
        while true {
            let event = try next(events)
            switch event.kind {
            case .streamEnd: return root
            case .documentStart:
                documents += 1
                if documents > 1 {
                    try stop(
                        "a second document begins here", remedy: "put it into a file of its own",
                        at: locator.span(event.start, event.end))
                }
                root = try node(try next(events), events, depth: 1).node
            default: break
            }
        }
    }

    private mutating func next(_ events: borrowing YAMLEvents) throws(Stopped) -> YAMLEvent {
        if let event = events.next() { return event }
        problems.append(events.problem.diagnostic(locator, text: text))
        throw Stopped()
    }

    private mutating func stop(_ message: String, remedy: String?, at span: SourceSpan) throws(Stopped) -> Never {
        problems.append(Diagnostic(.specification, message, remedy: remedy, at: span))
        throw Stopped()
    }

    /// Counts nodes towards the limit.
    private mutating func count(_ nodes: Int, at event: YAMLEvent) throws(Stopped) {
        nodeCount += nodes
        if nodeCount > limits.nodes {
            try stop(
                "the file has more than \(limits.nodes) values", remedy: "use fewer aliases or a smaller file",
                at: locator.span(event.start, event.end))
        }
    }

    private mutating func checkDepth(_ depth: Int, at event: YAMLEvent) throws(Stopped) {
        if depth > limits.depth {
            try stop(
                "values are nested deeper than \(limits.depth) levels", remedy: "flatten them",
                at: locator.span(event.start, event.end))
        }
    }

    private mutating func node(
        _ event: YAMLEvent, _ events: borrowing YAMLEvents, depth: Int
    ) throws(Stopped) -> Composed {
        try checkDepth(depth, at: event)
        let before = nodeCount
        switch event.kind {
        case .alias(let name):
            return try alias(name, event, depth: depth)
        case .scalar(var scalar, let anchor, let tag):
            try count(1, at: event)
            if let tag {
                if tag == "tag:yaml.org,2002:str" || tag == "!" {
                    if scalar.style == .plain { scalar.style = .doubleQuoted }
                } else {
                    refuse(tag: tag, event)
                }
            }
            let composed = Composed(
                node: YAMLNode(.scalar(scalar), at: locator.span(event.start, event.end)), height: 0)
            keep(composed, as: anchor, nodes: 1)
            return composed
        case .sequenceStart(let anchor, let tag), .mappingStart(let anchor, let tag):
            try count(1, at: event)
            if let tag { refuse(tag: tag, event) }
            if let anchor { openAnchors.insert(anchor) }
            let isMapping = if case .mappingStart = event.kind { true } else { false }
            let composed =
                isMapping ? try mapping(event, events, depth: depth) : try sequence(event, events, depth: depth)
            keep(composed, as: anchor, nodes: nodeCount - before)
            return composed
        case .streamStart, .streamEnd, .documentStart, .documentEnd, .collectionEnd:
            try stop("a value is missing here", remedy: nil, at: locator.span(event.start, event.end))
        }
    }

    private mutating func keep(_ composed: Composed, as anchor: String?, nodes: Int) {
        guard let anchor else { return }
        openAnchors.remove(anchor)
        anchors[anchor] = Anchored(node: composed.node, nodes: nodes, height: composed.height)
    }

    private mutating func alias(_ name: String, _ event: YAMLEvent, depth: Int) throws(Stopped) -> Composed {
        if openAnchors.contains(name) {
            try stop(
                "the alias \("*\(name)".quoted()) is within its own anchor",
                remedy: "a value cannot contain itself",
                at: locator.span(event.start, event.end))
        }
        guard let anchored = anchors[name] else {
            try stop(
                "no anchor \("&\(name)".quoted()) comes before this alias",
                remedy: didYouMean(name, anchors.keys.sorted()) ?? "quote the text if `*` is meant literally",
                at: locator.span(event.start, event.end))
        }
        try checkDepth(depth + anchored.height, at: event)
        try count(anchored.nodes, at: event)
        return Composed(node: anchored.node, height: anchored.height)
    }

    private mutating func sequence(
        _ opening: YAMLEvent, _ events: borrowing YAMLEvents, depth: Int
    ) throws(Stopped) -> Composed {
        var elements: [YAMLNode] = []
        var height = 0
        while true {
            let event = try next(events)
            if case .collectionEnd = event.kind {
                let span = locator.span(opening.start, event.end)
                return Composed(node: YAMLNode(.sequence(elements), at: span), height: height + 1)
            }
            let element = try node(event, events, depth: depth + 1)
            height = max(height, element.height)
            elements.append(element.node)
        }
    }

    private mutating func mapping(
        _ opening: YAMLEvent, _ events: borrowing YAMLEvents, depth: Int
    ) throws(Stopped) -> Composed {
        var entries: [YAMLEntry] = []
        var places: [String: SourceSpan] = [:]
        var merged: [YAMLNode] = []
        var height = 0
        while true {
            let event = try next(events)
            if case .collectionEnd = event.kind {
                merge(merged, into: &entries, has: places)
                let span = locator.span(opening.start, event.end)
                return Composed(node: YAMLNode(.mapping(entries), at: span), height: height + 1)
            }
            let key = try node(event, events, depth: depth + 1).node
            let value = try node(try next(events), events, depth: depth + 1)
            height = max(height, value.height)
            guard let scalar = key.scalar else {
                report("a key must be a word, not a list or a map", "quote it if it is meant as text", at: key.span)
                continue
            }
            if let first = places[scalar.text] {
                problems.append(
                    Diagnostic(
                        .specification, "the key \(scalar.text.quoted()) is given twice",
                        remedy: "keep one; the first is in line \(first.start.line)", at: key.span))
                continue
            }
            places[scalar.text] = key.span
            if scalar.isPlain, scalar.text == "<<" {
                merged = mergeSources(value.node)
            } else {
                entries.append(YAMLEntry(key: scalar.text, keySpan: key.span, value: value.node))
            }
        }
    }

    /// The mappings that a merge key names: one, or a list of them.
    private mutating func mergeSources(_ value: YAMLNode) -> [YAMLNode] {
        let sources = value.elements ?? [value]
        for source in sources where source.entries == nil {
            report("`<<` takes a map or a list of maps", "name an anchored map: `<<: *name`", at: source.span)
        }
        return sources.filter { $0.entries != nil }
    }

    /// Adds entries that the mapping itself does not have; of several sources the first one wins.
    private func merge(_ sources: [YAMLNode], into entries: inout [YAMLEntry], has places: [String: SourceSpan]) {
        guard !sources.isEmpty else { return }
        var known = Set(places.keys)
        for source in sources {
            for entry in source.entries ?? [] where known.insert(entry.key).inserted {
                entries.append(entry)
            }
        }
    }

    private mutating func report(_ message: String, _ remedy: String?, at span: SourceSpan) {
        problems.append(Diagnostic(.specification, message, remedy: remedy, at: span))
    }

    private mutating func refuse(tag: String, _ event: YAMLEvent) {
        let known = ["tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"]
        guard !known.contains(tag) else { return }
        let short = tag.hasPrefix("tag:yaml.org,2002:") ? "!!" + tag.dropFirst("tag:yaml.org,2002:".count) : tag
        report("the tag \(short.quoted()) means nothing here", "leave it out", at: locator.span(event.start, event.end))
    }
}
