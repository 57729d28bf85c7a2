import Glibc

/// One member of a tar stream.
struct TarMember {
    enum Kind: Hashable {
        case file
        case folder
        /// A hard link to an earlier member.
        case hardLink(to: [UInt8])
        case link(to: [UInt8])
        /// A continuation of the file before it, from this offset; without content, the file's length.
        case continuation(offset: Int)
        /// Not a regular file, such as `a device`.
        case special(String)
    }

    /// A part of a file with content in the archive; the gaps between extents are zeros.
    struct Extent: Hashable {
        var offset: Int
        var length: Int
    }

    var path: [UInt8]
    var kind: Kind
    var isExecutable = false
    var modified = timespec()
    /// Extended attributes, without the prefix `user.`.
    var attributes: [(name: [UInt8], value: [UInt8])] = []
    var size = 0
    /// The extents of its content, ascending.
    var extents: [Extent] = []
}
