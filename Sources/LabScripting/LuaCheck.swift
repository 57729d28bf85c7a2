import Diagnostics
import HostSystem
import LabSpec
import LuaRuntime

/// Finds syntax errors in Lua before anything runs.
public enum LuaCheck {
    /// The largest script, in bytes.
    static let limit = 8 << 20

    /// How many syntax errors of a lab are reported.
    private static let most = 100

    /// The syntax errors in a lab's `lua:` and `expect: {lua: …}`, in their places; at most `most`.
    public static func problems(in lab: Lab) -> [Diagnostic] {
        Array(
            lab.tasks.lazy.flatMap { task -> [Diagnostic] in
                var problems: [Diagnostic?] = []
                if case .lua(.inline(let lua)) = task.action { problems.append(problem(lua, of: lab)) }
                if case .lua(.file(let path)) = task.action { problems.append(problem(inFile: path)) }
                if var predicate = task.expect.predicate {
                    predicate.text = LuaPredicate.chunk(predicate.text)
                    problems.append(problem(predicate, of: lab))
                }
                return problems.compactMap { $0 }
            }.prefix(most))
    }

    private static func problem(_ lua: LuaText, of lab: Lab) -> Diagnostic? {
        guard LuaSyntax.problem(in: Array(lua.text.utf8), name: "") != nil else { return nil }
        if lua.text.allSatisfy({ $0.isLetter || $0.isNumber || "/._-~".contains($0) }) {
            return Diagnostic(
                .specification, "\(lua.text.quoted()) is not valid Lua",
                remedy: "write Lua, or the path of a file whose name ends in `.lua`", at: lua.span)
        }
        // Once more with the file's lines, which messages name: "to close 'if' at line 12".
        return LuaSyntax.problem(in: Array(lua.chunk.utf8), name: lab.source.path).map {
            Diagnostic(syntax: $0, in: lab.source)
        }
    }

    private static func problem(inFile path: String) -> Diagnostic? {
        do throws(Diagnostic) {
            return problem(in: try TextFile.bytes(path, limit: limit), path: path)
        } catch {
            return error
        }
    }

    /// What is wrong with a whole script.
    static func problem(in source: [UInt8], path: String) -> Diagnostic? {
        LuaSyntax.problem(in: source, name: path).map {
            Diagnostic(syntax: $0, in: SourceFile(path: path, text: String(decoding: source, as: UTF8.self)))
        }
    }
}

/// A predicate of `expect: {lua: …}`: an expression, or a chunk that returns.
enum LuaPredicate {
    static func chunk(_ text: String) -> String {
        let isExpression = LuaSyntax.problem(in: Array("return \(text)".utf8), name: "") == nil
        return isExpression || !text.contains("return") ? "return \(text)" : text
    }
}

extension Diagnostic {
    /// A syntax error at the words that it is about, or at its line.
    fileprivate init(syntax error: LuaError, in file: SourceFile) {
        guard let number = error.location?.line else {
            self.init(.specification, error.message)
            return
        }
        let line = file.line(number) ?? ""
        let indent = line.unicodeScalars.prefix { $0 == " " || $0 == "\t" }.count
        var columns = indent..<max(line.unicodeScalars.count, indent + 1)
        // `unexpected symbol near 'x'`
        let words = error.message.split(separator: " near '", maxSplits: 1).last?.dropLast() ?? ""
        if error.message.contains(" near '"), let place = line.ranges(of: words).last {
            let start = line[..<place.lowerBound].unicodeScalars.count
            columns = start..<(start + words.unicodeScalars.count)
        }
        self.init(
            .specification, error.message,
            at: SourceSpan(file: file, line: number, columns: (columns.lowerBound + 1)..<(columns.upperBound + 1)))
    }
}
