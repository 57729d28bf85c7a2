/// A path below some folder: names of at least one byte, none of them `..`; not always UTF-8, which guests need not use.
public struct RelativePath: Sendable, Hashable, CustomStringConvertible {
    /// Why a text is not such a path.
    public enum Refusal: Error, Sendable, Hashable, CustomStringConvertible {
        case hasNUL, isAbsolute, leaves

        /// Such as `it has a step up (..)`.
        public var description: String {
            switch self {
            case .hasNUL: "it has a NUL byte"
            case .isAbsolute: "it is absolute"
            case .leaves: "it has a step up (..)"
            }
        }
    }

    /// The names from the folder down; none for the folder itself.
    public private(set) var names: [[UInt8]]

    /// Parses a path: empty components and `.` are dropped. Throws for a leading slash, a `..` and a NUL.
    public init(_ bytes: some Collection<UInt8>) throws(Refusal) {
        if bytes.contains(0) { throw .hasNUL }
        if bytes.first == UInt8(ascii: "/") { throw .isAbsolute }
        names = bytes.split(separator: UInt8(ascii: "/")).map { Array($0) }.filter { $0 != [UInt8(ascii: ".")] }
        if names.contains(Array("..".utf8)) { throw .leaves }
    }

    /// Parses a path from text. Throws as for bytes.
    public init(_ text: String) throws(Refusal) { try self.init(Array(text.utf8)) }

    /// The path of these names, which must be valid file names.
    public init(names: some Sequence<[UInt8]>) { self.names = Array(names) }

    /// The folder itself.
    public static let here = RelativePath(names: [])

    /// The last name; nil for the folder itself.
    public var name: [UInt8]? { names.last }

    /// All but the last name.
    public var parent: RelativePath { RelativePath(names: names.dropLast()) }

    /// The path of the last name alone.
    public var last: RelativePath { RelativePath(names: names.suffix(1)) }

    /// This path and another one beneath it.
    public func appending(_ path: RelativePath) -> RelativePath { RelativePath(names: names + path.names) }

    /// With slashes between the names; `.` for the folder itself.
    public var bytes: [UInt8] {
        names.isEmpty ? [UInt8(ascii: ".")] : Array(names.joined(separator: [UInt8(ascii: "/")]))
    }

    /// As text; bytes that are not UTF-8 become replacement characters.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}
