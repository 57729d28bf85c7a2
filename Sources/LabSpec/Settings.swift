import Diagnostics
import YAMLTree

/// `--set key=value`: changes a tree before it is decoded, so that a setting is checked like the file's own words.
enum Settings {
    /// Applies one setting. Dots separate keys; an element of a list of maps is named by its `name`.
    /// The value is YAML. Whatever is wrong is shown in the setting itself.
    static func apply(_ setting: (key: String, value: String), to root: inout YAMLNode, _ decoding: Decoding) {
        let source = SourceFile(path: "--set", text: "\(setting.key)=\(setting.value)")
        let keyLength = setting.key.unicodeScalars.count
        let document = YAMLDocument.parse(setting.value, in: source, column: keyLength + 2)
        for problem in document.problems { decoding.report(problem) }
        guard document.problems.isEmpty else { return }

        var column = 1
        var steps: [Step] = []
        for key in setting.key.split(separator: ".", omittingEmptySubsequences: false) {
            let end = column + key.unicodeScalars.count
            let span = SourceSpan(file: source, line: 1, columns: column..<end)
            guard !key.isEmpty else {
                decoding.error(
                    "a key is missing in \(setting.key.quoted())", remedy: "write it as `guests.lin.count=2`", at: span)
                return
            }
            steps.append(Step(key: String(key), span: span))
            column = end + 1
        }
        let valueSpan = SourceSpan(file: source, line: 1, columns: (keyLength + 2)..<(keyLength + 2))
        let value = document.root ?? YAMLNode(.scalar(YAMLScalar("")), at: valueSpan)
        guard namesKnown(steps, in: root, decoding) else { return }
        set(steps[...], to: value, in: &root, decoding)
    }

    /// Keys whose values are maps with names of the author's choice: a setting may name only existing ones.
    private static let named = ["guests", "images", "networks", "matrix"]

    /// Whether a setting below `guests:` and the like names an existing entry, or a new guest group; reports it when not.
    private static func namesKnown(_ steps: [Step], in root: YAMLNode, _ decoding: Decoding) -> Bool {
        guard steps.count > (steps[0].key == "matrix" ? 1 : 2), named.contains(steps[0].key),
            let entries = root[steps[0].key]?.entries
        else { return true }
        let (step, names) = (steps[1], entries.map(\.key))
        guard !names.contains(step.key) else { return true }
        decoding.error(
            "\(steps[0].key.quoted()) has no \(step.key.quoted())",
            remedy: decoding.didYouMean(step.key, names) ?? "it has \(names.listed)", at: step.span)
        return false
    }

    private struct Step {
        let key: String
        let span: SourceSpan
    }

    private static func set(
        _ steps: ArraySlice<Step>, to value: YAMLNode, in node: inout YAMLNode, _ decoding: Decoding
    ) {
        guard let step = steps.first else {
            node = value
            return
        }
        let rest = steps.dropFirst()
        switch node.content {
        case .mapping(var entries):
            if let index = entries.firstIndex(where: { $0.key == step.key }) {
                set(rest, to: value, in: &entries[index].value, decoding)
                if rest.isEmpty { entries[index].keySpan = step.span }
            } else {
                entries.append(new(step, rest, value, decoding))
            }
            node.content = .mapping(entries)
        case .sequence(var elements):
            let names = elements.compactMap { $0["name"]?.scalar?.text }
            guard let index = elements.firstIndex(where: { $0["name"]?.scalar?.text == step.key }) else {
                decoding.error(
                    "no element of the list is named \(step.key.quoted())",
                    remedy: decoding.didYouMean(step.key, names)
                        ?? (names.isEmpty
                            ? "set the whole list: `key=[…]`" : "it has \(names.listed)"),
                    at: step.span)
                return
            }
            set(rest, to: value, in: &elements[index], decoding)
            node.content = .sequence(elements)
        case .scalar:
            guard node.isNull else {
                decoding.error(
                    "\(step.key.quoted()) cannot be set within \(node.kind)", remedy: "set the whole value instead",
                    at: step.span)
                return
            }
            node = YAMLNode(.mapping([new(step, rest, value, decoding)]), at: step.span)
        }
    }

    private static func new(
        _ step: Step, _ rest: ArraySlice<Step>, _ value: YAMLNode, _ decoding: Decoding
    ) -> YAMLEntry {
        var node = YAMLNode(.scalar(YAMLScalar("")), at: step.span)
        set(rest, to: value, in: &node, decoding)
        return YAMLEntry(key: step.key, keySpan: step.span, value: node)
    }
}
