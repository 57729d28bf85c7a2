import Diagnostics
import LuaRuntime
import YAMLTree

/// Tables of a script as the trees that the lab language decodes: so that both languages have the same words, checks and messages.
struct LabTree {
    /// Where all of it is: the line of the call.
    let span: SourceSpan

    /// A tree whose places are the call's line in the script, or in a module that it requires.
    init(_ call: LuaCall, in world: ScriptWorld) {
        let line = call.location?.line ?? 1
        var file = world.source
        if let name = call.location?.file, name != file.path { file = SourceFile(path: name, text: "") }
        let text = file.line(line) ?? ""
        let indent = text.unicodeScalars.prefix { $0 == " " || $0 == "\t" }.count
        span = SourceSpan(file: file, line: line, columns: (indent + 1)..<(max(text.unicodeScalars.count, indent) + 1))
    }

    func map(_ entries: [(String, YAMLNode)]) -> YAMLNode {
        node(.mapping(entries.map { YAMLEntry(key: $0.0, keySpan: span, value: $0.1) }))
    }

    func list(_ elements: [YAMLNode]) -> YAMLNode { node(.sequence(elements)) }

    /// A text, or what a word means in the lab language.
    func word(_ text: String) -> YAMLNode { node(.scalar(YAMLScalar(text))) }

    /// Any value. Throws for functions and objects, and for tables that are a list and a map at once.
    func value(_ value: LuaValue, named name: String, _ call: LuaCall) throws -> YAMLNode {
        switch value {
        case .table(let table):
            guard table.array.isEmpty || table.fields.isEmpty else {
                throw call.badArgument(1, "'\(name)' is a list and has named values too")
            }
            if !table.array.isEmpty {
                return list(try table.array.map { try self.value($0, named: name, call) })
            }
            return map(try table.names.map { ($0, try self.value(table[$0], named: $0, call)) })
        default:
            guard let text = value.words else {
                throw call.badArgument(1, "'\(name)' cannot be a \(value.typeName)")
            }
            return word(text)
        }
    }

    private func node(_ content: YAMLNode.Content) -> YAMLNode { YAMLNode(content, at: span) }
}
