import Glibc
import HostSystem

/// Writes a tar stream that GNU tar, busybox, bsdtar and vmlab-files read alike: GNU's long names, and PAX records for what
/// does not fit the header, which busybox skips.
struct TarWriter: ~Copyable {
    private let output: Int32
    private var buffer: [UInt8] = []
    /// The archive's length so far.
    private(set) var count = 0

    private static let bufferSize = 1 << 18

    /// A writer from the descriptor's current offset on.
    init(_ output: Int32) { self.output = output }

    /// Begins a member. A file's content follows by `append`, in the order of its extents, then `endMember`. A file whose extents
    /// leave holes is written in GNU's sparse form 1.0, which busybox cannot read.
    mutating func begin(_ member: TarMember, mode: mode_t) throws(SystemCallError) {
        var block = TarBlock()
        block.set(.mode, Int(mode & 0o7777))
        block.set(.modified, max(0, member.modified.tv_sec))
        var records = PAXRecords()
        if member.modified.tv_nsec > 0, member.modified.tv_sec >= 0 {
            let digits = String(member.modified.tv_nsec)
            let fraction = String(repeating: "0", count: 9 - digits.count) + digits
            records.append("mtime", Array("\(member.modified.tv_sec).\(fraction)".utf8))
        }
        for (name, value) in member.attributes { records.append(PAXRecords.attributePrefix + name, value) }
        var (path, target, map) = (member.path, [UInt8](), [UInt8]())
        switch member.kind {
        case .file:
            block.set(.kind, "0".utf8)
            let stored = member.extents.reduce(0) { $0 + $1.length }
            if stored < member.size {
                for (key, value) in [("major", "1"), ("minor", "0"), ("realsize", "\(member.size)")] {
                    records.append("GNU.sparse." + key, Array(value.utf8))
                }
                records.append("GNU.sparse.name", path)
                path = Array("GNUSparseFile.0".utf8)
                // The last extent marks the end of the file.
                let extents = member.extents + [TarMember.Extent(offset: member.size, length: 0)]
                let numbers = [extents.count] + extents.flatMap { [$0.offset, $0.length] }
                map = Self.padded(numbers.flatMap { Array("\($0)\n".utf8) })
            }
            block.set(.size, map.count + stored)
        case .folder:
            block.set(.kind, "5".utf8)
            path.append(UInt8(ascii: "/"))
        case .link(let to): (target, _) = (to, block.set(.kind, "2".utf8))
        case .hardLink(let to): (target, _) = (to, block.set(.kind, "1".utf8))
        case .special: block.set(.kind, "6".utf8)
        case .continuation: block.set(.kind, "M".utf8)
        }
        if !records.values.isEmpty { try describe("x", records.bytes) }
        for (kind, field, text) in [("K", TarBlock.Field.linkName, target), ("L", .name, path)] {
            if text.count > field.count { try describe(kind, text + [0]) }
            block.set(field, text)
        }
        block.seal()
        try append(block.bytes[...])
        try append(map[...])
    }

    /// Pads the member's content to a whole block.
    mutating func endMember() throws(SystemCallError) {
        try append([UInt8](repeating: 0, count: -count & (TarBlock.size - 1))[...])
    }

    mutating func append(_ bytes: ArraySlice<UInt8>) throws(SystemCallError) {
        buffer += bytes
        count += bytes.count
        if buffer.count >= Self.bufferSize { try flush() }
    }

    mutating func finish() throws(SystemCallError) {
        try append([UInt8](repeating: 0, count: 2 * TarBlock.size)[...])
        try flush()
    }

    private mutating func flush() throws(SystemCallError) {
        try writeAll(output, buffer[...])
        buffer.removeAll(keepingCapacity: true)
    }

    /// A member that describes the next one.
    private mutating func describe(_ kind: String, _ content: [UInt8]) throws(SystemCallError) {
        var block = TarBlock()
        block.set(.name, "././@LongLink".utf8)
        block.set(.mode, 0o644)
        block.set(.size, content.count)
        block.set(.kind, kind.utf8)
        block.seal()
        try append(block.bytes[...])
        try append(Self.padded(content)[...])
    }

    private static func padded(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: -bytes.count & (TarBlock.size - 1))
    }
}

extension PAXRecords {
    mutating func append(_ key: String, _ value: [UInt8]) { append(Array(key.utf8), value) }
}
