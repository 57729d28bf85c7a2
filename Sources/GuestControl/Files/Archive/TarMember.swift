import Glibc

/// One member of a tar stream.
struct TarMember {
    enum Kind: Hashable {
        case file
        case folder
        /// Another name of a member before it.
        case hardLink(to: [UInt8])
        case link(to: [UInt8])
        /// More of the file before it, from there on; with no content, that is its length.
        case continuation(offset: Int)
        /// What is no file, such as `a device`.
        case special(String)
    }

    /// A stretch of a file that its archive has the content of; what lies between stretches are zeros.
    struct Extent: Hashable {
        var offset: Int
        var length: Int
    }

    var path: [UInt8]
    var kind: Kind
    var isExecutable = false
    /// When it was last written.
    var modified = timespec()
    /// Extended attributes, without the `user.` of their names.
    var attributes: [(name: [UInt8], value: [UInt8])] = []
    /// A file's length.
    var size = 0
    /// Where its content belongs, ascending.
    var extents: [Extent] = []
}
