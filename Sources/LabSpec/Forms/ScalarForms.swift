import Diagnostics
import JSON
import Quantities
import YAMLTree

/// Schema of a value that a matrix will fill in.
private let expression: JSONValue = ["type": "string", "pattern": "\\$\\{\\{.*\\}\\}"]

extension Form {
    /// A form of scalars. `parse` gets a resolved scalar; it reports what it refuses.
    static func scalar(
        _ noun: String, schema: JSONValue, orExpression: Bool = true,
        _ parse: @escaping @Sendable (YAMLScalar, YAMLNode, Decoding) -> Value?
    ) -> Form {
        let whole: JSONValue = orExpression ? ["anyOf": [schema, ["$ref": "#/$defs/expression"]]] : schema
        let definitions = orExpression ? ["expression": expression] : [:]
        return Form(schema: whole, definitions: definitions, noun: noun) { node, decoding in
            guard let scalar = node.scalar else { return decoding.wrongKind(node, wanted: noun) }
            return node.isUnresolved ? nil : parse(scalar, node, decoding)
        }
    }
}

extension Form where Value == String {
    /// Any text but nothing; a number or a truth value is taken as it is written.
    static let text = text("text")

    /// Any text but nothing, called `noun` in messages.
    static func text(_ noun: String, orNull: Bool = false) -> Form {
        .scalar(
            noun,
            schema: ["type": orNull ? ["string", "number", "boolean", "null"] : ["string", "number", "boolean"]],
            orExpression: false
        ) { scalar, node, decoding in
            if node.isNull { return orNull ? "" : decoding.wrongKind(node, wanted: noun) }
            guard scalar.text.unicodeScalars.contains("\0") else { return scalar.text }
            return decoding.refuse(
                "\(decoding.subject) contains a NUL character", remedy: "leave it out", at: node.span)
        }
    }

    /// Text with at least one character that is not blank.
    static func filled(_ noun: String) -> Form {
        var form = text(noun).then { text, node, decoding -> String? in
            if text.contains(where: { !$0.isWhitespace }) { return text }
            return decoding.refuse(
                "\(decoding.subject) is empty", remedy: "write \(noun), or leave it out", at: node.span)
        }
        form.schema = form.schema.adding("pattern", "\\S")
        return form
    }

    /// Text that fits on one line.
    static func line(_ noun: String) -> Form {
        filled(noun).then { text, node, decoding in
            guard text.contains(where: \.isNewline) else { return text }
            return decoding.refuse("\(decoding.subject) must be one line", remedy: "join its lines", at: node.span)
        }
    }

    static let name: Form = {
        var form = Form.text("a name").then { text, node, decoding in
            Names.check(text, what: decoding.subject, at: node.span, decoding) ? text : nil
        }
        form.schema = form.schema.adding("pattern", .string(Names.schemaPattern))
        return form
    }()

    /// The name of an image; one of the catalog may have a version behind a colon.
    static let imageName: Form = {
        var form = Form.text("the name of an image").then { text, node, decoding in
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            return parts.allSatisfy { Names.check($0, what: decoding.subject, at: node.span, decoding) } ? text : nil
        }
        form.schema = form.schema.adding("pattern", .string(Names.imageSchemaPattern))
        return form
    }()
}

extension Form where Value == Bool {
    static let boolean = scalar("`true` or `false`", schema: ["type": "boolean"]) { scalar, node, decoding in
        switch scalar.text {
        case "true" where scalar.isPlain, "True" where scalar.isPlain, "TRUE" where scalar.isPlain: true
        case "false" where scalar.isPlain, "False" where scalar.isPlain, "FALSE" where scalar.isPlain: false
        default: wrong(node, decoding)
        }
    }

    private static func wrong(_ node: YAMLNode, _ decoding: Decoding) -> Bool? {
        let text = node.scalar?.text.lowercased() ?? ""
        let words = ["true": ["yes", "y", "on", "true", "1"], "false": ["no", "n", "off", "false", "0"]]
        let meant = words.first { $0.value.contains(text) }?.key
        let quotes = node.scalar?.isPlain == true ? "" : " without quotes"
        return decoding.wrongKind(node, wanted: "`true` or `false`", remedy: meant.map { "write `\($0)`\(quotes)" })
    }
}

extension Form where Value == Int {
    /// A whole number within `range`; `hexadecimal` also takes `0xC0000005`.
    static func integer(_ range: ClosedRange<Int>, hexadecimal: Bool = false) -> Form {
        let noun = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        let schema: JSONValue = [
            "type": "integer", "minimum": .integer(Int64(range.lowerBound)),
            "maximum": .integer(Int64(range.upperBound)),
        ]
        return scalar(noun, schema: schema) { scalar, node, decoding in
            guard scalar.isPlain, let number = parse(scalar.text, hexadecimal: hexadecimal) else {
                let isQuoted = !scalar.isPlain && Int(scalar.text) != nil
                return decoding.wrongKind(node, wanted: noun, remedy: isQuoted ? "leave the quotes out" : nil)
            }
            return range.contains(number) ? number : decoding.wrongKind(node, wanted: noun)
        }
    }

    /// Digits with an optional `-`. No leading zeros: YAML 1.1 readers take them for octal.
    static func parse(_ text: String, hexadecimal: Bool) -> Int? {
        if hexadecimal, text.hasPrefix("0x") { return Int(text.dropFirst(2), radix: 16) }
        let digits = text.drop { $0 == "-" }
        guard text.utf8.count - digits.utf8.count <= 1, digits == "0" || !digits.hasPrefix("0"),
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return Int(text)
    }
}

extension Form where Value: CaseIterable & RawRepresentable & Sendable, Value.RawValue == String {
    /// One of the words of an enumeration.
    static func choice(_: Value.Type = Value.self) -> Form {
        let words = Value.allCases.map(\.rawValue)
        let noun = words.count == 1 ? "`\(words[0])`" : "one of " + words.map { "`\($0)`" }.joined(separator: ", ")
        return scalar(noun, schema: ["enum": .array(words.map { .string($0) })]) { scalar, node, decoding in
            Value(rawValue: scalar.text)
                ?? decoding.wrongKind(node, wanted: noun, remedy: decoding.didYouMean(scalar.text, words))
        }
    }
}

extension Form where Value == Duration {
    /// A span of time such as `90s` or `1h30m`, at most a year.
    static let duration = scalar(
        "a duration such as `90s`, `5m` or `1h30m`",
        schema: ["type": "string", "pattern": .string(Quantity.durationPattern)]
    ) { scalar, node, decoding in
        do throws(Quantity.Refusal) {
            return try Quantity.duration(scalar.text)
        } catch {
            return decoding.refuse("\(decoding.subject) \(error.message)", remedy: error.remedy, at: node.span)
        }
    }
}

extension Form where Value == ByteCount {
    /// An amount such as `512MiB`, at least `minimum`; messages propose `usual` or more.
    static func size(atLeast minimum: ByteCount, usual: ByteCount = ByteCount(1)) -> Form {
        scalar(
            "a size such as `512MiB` or `5GiB`", schema: ["type": "string", "pattern": .string(Quantity.sizePattern)]
        ) { scalar, node, decoding in
            do throws(Quantity.Refusal) {
                return try Quantity.size(scalar.text, atLeast: minimum, usual: usual)
            } catch {
                return decoding.refuse("\(decoding.subject) \(error.message)", remedy: error.remedy, at: node.span)
            }
        }
    }
}
