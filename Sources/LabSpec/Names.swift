import Diagnostics

extension Collection<String> {
    /// The first few as messages list them.
    var listed: String { prefix(8).joined(separator: ", ") + (count > 8 ? ", …" : "") }
}

/// What the things of a lab may be called. Names become host names, folders and words of `on:`.
enum Names {
    /// The longest name: that of a host name's label.
    static let longest = 63
    /// What the schema asks of a name.
    static let schemaPattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$|\\$\\{\\{"
    static let userSchemaPattern = "^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,31}$|\\$\\{\\{"
    /// What it asks of an image's name; one of the catalog may have a version.
    static let imageSchemaPattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(:[A-Za-z0-9][A-Za-z0-9._-]{0,62})?$|\\$\\{\\{"
    static let variableSchemaPattern = "^[A-Za-z_][A-Za-z0-9_]*$|\\$\\{\\{"

    /// Whether `name` is one; reports why it is not.
    static func check(_ name: String, what: String, at span: SourceSpan?, _ decoding: Decoding) -> Bool {
        let bytes = name.utf8
        guard bytes.count <= longest else {
            decoding.error("\(what) is longer than \(longest) characters", remedy: "shorten it", at: span)
            return false
        }
        guard let first = bytes.first, isAlphanumeric(first),
            bytes.allSatisfy({ isAlphanumeric($0) || ".-_".utf8.contains($0) })
        else {
            decoding.error(
                "\(what) is not a name: \(name.quoted())",
                remedy: "a name begins with a letter or digit and has letters, digits, `.`, `_` and `-`", at: span)
            return false
        }
        return true
    }

    /// Whether `name` can be that of a guest's user.
    static func isUser(_ name: String) -> Bool {
        let bytes = name.utf8
        return (1...32).contains(bytes.count) && bytes.first != UInt8(ascii: "-")
            && bytes.allSatisfy { isAlphanumeric($0) || ".-_".utf8.contains($0) }
    }

    /// Whether `name` can be an environment variable that a task may set; reports why it cannot.
    static func checkVariable(_ name: String, at span: SourceSpan, _ decoding: Decoding) -> Bool {
        let bytes = name.utf8
        let underscore = UInt8(ascii: "_")
        guard let first = bytes.first, isAlphanumeric(first) || first == underscore, !(0x30...0x39).contains(first),
            bytes.allSatisfy({ isAlphanumeric($0) || $0 == underscore })
        else {
            decoding.error(
                "\(name.quoted()) cannot name an environment variable",
                remedy: "use letters, digits and `_`, no digit first", at: span)
            return false
        }
        guard !name.hasPrefix("VMLAB_") else {
            decoding.error("\(name.quoted()) is set by vmlab itself", remedy: "choose another name", at: span)
            return false
        }
        return true
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}
