import Diagnostics
import LabSpec
import LuaRuntime
import Patterns
import Quantities

/// The table of named options that is a call's last argument: each is asked for once, and what nobody asked for is an error.
struct Options {
    private let call: LuaCall
    private let place: Int
    private let table: LuaTable
    private var known: [String] = []

    /// The options at an argument; without one there are none.
    fileprivate init(_ call: LuaCall, _ place: Int) throws {
        self.call = call
        self.place = place
        table = call.isMissing(place) ? LuaTable() : try call.table(place)
    }

    /// The value of an option, nil when it is not given.
    private mutating func value(_ name: String) -> LuaValue? {
        known.append(name)
        let value = table[name]
        // A plain `nil` here would be Lua's, not that there is none.
        return value.isNil ? Optional.none : .some(value)
    }

    mutating func string(_ name: String) throws -> String? {
        guard let value = value(name) else { return nil }
        guard let text = value.words else { throw wrong(name, "must be a string, not a \(value.typeName)") }
        return text
    }

    mutating func boolean(_ name: String) throws -> Bool? {
        guard let value = value(name) else { return nil }
        guard case .boolean(let flag) = value else { throw wrong(name, "must be true or false, not \(value.typeName)") }
        return flag
    }

    mutating func integer(_ name: String, _ range: ClosedRange<Int64>) throws -> Int? {
        guard let value = value(name) else { return nil }
        guard case .integer(let number) = value, range.contains(number) else {
            throw wrong(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return Int(number)
    }

    mutating func integers(_ name: String, _ range: ClosedRange<Int64>) throws -> [Int] {
        guard let value = value(name) else { return [] }
        guard case .table(let table) = value, table.names.isEmpty else { throw wrong(name, "must be a list") }
        return try table.array.map { element in
            guard case .integer(let number) = element, range.contains(number) else {
                throw wrong(name, "must have whole numbers from \(range.lowerBound) to \(range.upperBound)")
            }
            return Int(number)
        }
    }

    /// One of the words of an enumeration.
    mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String, _ type: Choice.Type
    ) throws -> Choice? where Choice.RawValue == String {
        guard let text = try string(name) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            let words = Choice.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or ")
            throw wrong(name, "must be \(words), not \(text.debugDescription)")
        }
        return choice
    }

    /// A size in the lab's notation.
    mutating func size(_ name: String) throws -> ByteCount? {
        guard let text = try string(name) else { return nil }
        guard let size = ByteCount(parsing: text) else {
            throw wrong(name, "must be a size such as \"10GiB\", not \(text.debugDescription)")
        }
        return size
    }

    /// A duration in the lab's notation, or a number of seconds.
    mutating func duration(_ name: String) throws -> Duration? {
        guard let value = value(name) else { return nil }
        return try Self.duration(value) { wrong(name, $0) }
    }

    mutating func environment(_ name: String) throws -> [(name: String, value: String)] {
        guard let value = value(name) else { return [] }
        guard case .table(let table) = value, table.array.isEmpty else {
            throw wrong(name, "must be a table of names and values")
        }
        return try table.names.map { variable in
            guard let text = table[variable].words else { throw wrong(name, "\(variable) must be a string") }
            return (variable, text)
        }
    }

    /// A text, or a table that names a file on the host, of which `path` makes the path to read.
    mutating func source(_ name: String, path: (String) throws -> String) throws -> CommandSource? {
        guard let value = value(name) else { return nil }
        switch value {
        case .string(let text): return .text(text.bytes)
        case .table(let table) where table.array.isEmpty && table.names == ["file"]:
            guard let file = table["file"].words else { throw wrong(name, "must name a file") }
            return .file(try path(file))
        default: throw wrong(name, "must be a string, or {file = \"path\"}")
        }
    }

    /// Throws when there is an option that nobody asked for.
    fileprivate func finish() throws {
        if !table.array.isEmpty { throw call.badArgument(place, "options have names, such as {timeout = \"30s\"}") }
        for name in table.names where !known.contains(name) {
            throw call.badArgument(
                place,
                "unknown option '\(name)' (\(didYouMean(name, known) ?? "there are: \(known.joined(separator: ", "))"))"
            )
        }
    }

    private func wrong(_ name: String, _ problem: String) -> LuaCallError {
        call.badArgument(place, "option '\(name)' \(problem)")
    }

    /// A duration that is an argument or an option; `wrong` makes the error of what is wrong with it.
    static func duration(_ value: LuaValue, wrong: (String) -> LuaCallError) throws -> Duration {
        switch value {
        case .integer(let seconds) where (0...31_536_000).contains(seconds): return .seconds(seconds)
        case .number(let seconds) where (0...31_536_000.0).contains(seconds):
            return .milliseconds(Int64(seconds * 1000))
        case .string(let text):
            do throws(Quantity.Refusal) { return try Quantity.duration(text.text) } catch {
                throw wrong(error.description)
            }
        case .integer, .number:
            throw wrong("must be from 0 to 31536000 seconds, which is a year, not \(value.shown)")
        default: throw wrong("must be a duration such as \"90s\", or a number of seconds, not a \(value.typeName)")
        }
    }
}

extension LuaValue {
    /// A table of texts by their names; of equal names the last counts.
    static func texts(_ texts: [(name: String, text: String)]) -> LuaValue {
        .table(LuaTable(fields: Dictionary(texts.map { (LuaString($0.name), .text($0.text)) }) { $1 }))
    }

    /// A string, or a number or truth value as one.
    var words: String? {
        switch self {
        case .string(let text): text.text
        case .integer(let number): "\(number)"
        case .number(let number): "\(number)"
        case .boolean(let flag): "\(flag)"
        default: nil
        }
    }

    /// The value as people read it in a message: strings quoted, tables by their content.
    var shown: String {
        switch self {
        case .nil: "nil"
        case .string(let text) where text.bytes.count > 300:
            String(text.text.prefix(300)).debugDescription + "…"
        case .string(let text): text.text.debugDescription
        case .table(let table):
            "{"
                + (table.array.map(\.shown) + table.names.map { "\($0) = \(table[$0].shown)" }).joined(separator: ", ")
                + "}"
        case .function, .native: "a function"
        case .object(let object): object.type.name
        default: words ?? typeName
        }
    }
}

extension LuaCall {
    /// What `read` makes of the options at an argument; all others are an error.
    func options<Value>(_ place: Int, _ read: (inout Options) throws -> Value) throws -> Value {
        var options = try Options(self, place)
        let value = try read(&options)
        try options.finish()
        return value
    }

    func guestPath(_ place: Int, for use: GuestPaths.Use = .other) throws -> String {
        let path = try string(place)
        guard let problem = GuestPaths.problem(path, for: use) else { return path }
        throw badArgument(place, "the path in the guest, \(path.quoted()), \(problem.what): \(problem.remedy)")
    }

    func hostPath(_ place: Int) throws -> String {
        let path = try string(place)
        if path.isEmpty { throw badArgument(place, "the path on the host is empty: name a file or a folder") }
        if path.utf8.contains(0) {
            throw badArgument(place, "the path on the host, \(path.quoted()), has a NUL byte: no path has one")
        }
        return path
    }

    func pattern(_ place: Int) throws -> Pattern {
        let text = try string(place)
        do throws(PatternProblem) {
            return try Pattern(text)
        } catch {
            throw badArgument(place, "is not a regular expression: \(text.quoted()) (\(error))")
        }
    }
}
