import Glibc
import HostSystem

/// Reads a tar stream member by member, in the POSIX, GNU and PAX forms that GNU tar, busybox, bsdtar and vmlab-files write.
/// Sizes in headers are checked against the stream and against memory limits.
struct TarReader: ~Copyable {
    /// The limit for data ahead of a member (path, link target, attributes), in bytes.
    private static let mostExtra = 1 << 20

    private let input: Int32
    private var buffer: [UInt8] = []
    private var position = 0
    /// The unread bytes of the current member's content.
    private var unread = 0
    /// The padding after it, to the end of its block.
    private var padding = 0

    /// A reader from the descriptor's current offset on.
    init(_ input: Int32) { self.input = input }

    /// The next member; nil at the end of the archive. Unread content of the previous one is skipped. Throws an `ArchiveError` that
    /// names the member, and a `SystemCallError` when the stream cannot be read.
    mutating func next(_ cancellation: CancellationFlag) throws -> TarMember? {
        while unread > 0 {
            try cancellation.check()
            _ = try read(upTo: unread)
        }
        try skipPadding()
        var path: [UInt8]?
        var target: [UInt8]?
        var records = PAXRecords()
        while true {
            try cancellation.check()
            let block = TarBlock(bytes: Array(try take(TarBlock.size)))
            if block.isEmpty { return nil }
            guard block.isIntact else { throw ArchiveError("it is not a tar archive, or was damaged in transit") }
            do throws(ArchiveError) {
                let size = if let size = try records.number("size") { size } else { try block.number(.size) }
                unread = size
                padding = (TarBlock.size - size % TarBlock.size) % TarBlock.size
            } catch {
                throw error.about(path ?? block.path)
            }
            switch block.kind {
            case UInt8(ascii: "L"): path = try extra().prefix { $0 != 0 }
            case UInt8(ascii: "K"): target = try extra().prefix { $0 != 0 }
            case UInt8(ascii: "x"): records = try PAXRecords(try extra())
            case UInt8(ascii: "g"): _ = try extra()
            default:
                let path = records["GNU.sparse.name"] ?? records["path"] ?? path ?? block.path
                do {
                    return try member(block, path, records["linkpath"] ?? target ?? block.text(.linkName), records)
                } catch let error as ArchiveError {
                    throw error.about(path)
                }
            }
        }
    }

    /// The next bytes of the current member's content, at most `count`; empty at its end.
    mutating func read(upTo count: Int) throws -> ArraySlice<UInt8> {
        let wanted = min(count, unread)
        guard wanted > 0 else { return [] }
        if position == buffer.count { try fill() }
        let piece = buffer[position..<min(buffer.count, position + wanted)]
        position = piece.endIndex
        unread -= piece.count
        return piece
    }

    // MARK: Members

    private mutating func member(
        _ block: TarBlock, _ path: [UInt8], _ target: [UInt8], _ records: PAXRecords
    ) throws -> TarMember {
        var member = TarMember(path: path, kind: .file)
        member.isExecutable = try block.number(.mode) & 0o111 != 0
        member.modified = try records.modified ?? timespec(tv_sec: block.number(.modified), tv_nsec: 0)
        member.attributes = records.attributes
        switch block.kind {
        case 0, UInt8(ascii: "0"), UInt8(ascii: "7"):
            if path.last == UInt8(ascii: "/") { member.kind = .folder }
            member.size = unread
            member.extents = [TarMember.Extent(offset: 0, length: unread)]
            if records["GNU.sparse.major"] != nil { try readMap(into: &member, records) }
        case UInt8(ascii: "1"): member.kind = .hardLink(to: target)
        case UInt8(ascii: "2"): member.kind = .link(to: target)
        case UInt8(ascii: "3"): member.kind = .special("a character device")
        case UInt8(ascii: "4"): member.kind = .special("a block device")
        case UInt8(ascii: "5"), UInt8(ascii: "D"): member.kind = .folder
        case UInt8(ascii: "6"): member.kind = .special("a FIFO")
        case UInt8(ascii: "M"):
            let offset = try block.number(.offset)
            guard offset <= Int.max - unread else { throw ArchiveError("it has a number that is out of range") }
            member.kind = .continuation(offset: offset)
            member.size = offset + unread
            member.extents = [TarMember.Extent(offset: offset, length: unread)]
        default: member.kind = .special("an unknown kind of file")
        }
        // Only files may have more content than is skipped.
        guard !member.extents.isEmpty || unread <= Self.mostExtra else {
            throw ArchiveError("it has content, which its kind does not")
        }
        return member
    }

    /// Reads the map of a sparse file in GNU form 1.0: decimal numbers, one per line, in blocks before the content.
    private mutating func readMap(into member: inout TarMember, _ records: PAXRecords) throws {
        guard records["GNU.sparse.major"] == [UInt8(ascii: "1")], let size = try records.number("GNU.sparse.realsize")
        else { throw ArchiveError("it is a sparse file in an unknown format") }
        let stored = unread
        let count = try mapNumber(stored)
        var extents: [TarMember.Extent] = []
        var (end, sum) = (0, 0)
        for _ in 0..<count {
            let extent = TarMember.Extent(offset: try mapNumber(stored), length: try mapNumber(stored))
            guard extent.offset >= end, extent.length <= size, extent.offset <= size - extent.length else {
                throw ArchiveError("its map of holes is wrong")
            }
            (end, sum) = (extent.offset + extent.length, sum + extent.length)
            extents.append(extent)
        }
        let fill = (TarBlock.size - (stored - unread) % TarBlock.size) % TarBlock.size
        var passed = 0
        while passed < fill {
            let piece = try read(upTo: fill - passed)
            guard !piece.isEmpty else { break }
            passed += piece.count
        }
        guard sum == unread else { throw ArchiveError("its map of holes is wrong") }
        (member.size, member.extents) = (size, extents)
    }

    private mutating func mapNumber(_ stored: Int) throws -> Int {
        var digits: [UInt8] = []
        // The map is kept in memory, so its size is limited.
        while digits.count < 20, stored - unread < Self.mostExtra, let digit = try read(upTo: 1).first {
            if digit == UInt8(ascii: "\n"), let number = PAXRecords.decimal(digits[...]) { return number }
            digits.append(digit)
        }
        throw ArchiveError("its map of holes is wrong")
    }

    // MARK: The stream

    /// The whole content of a member that only describes the next one.
    private mutating func extra() throws -> [UInt8] {
        guard unread <= Self.mostExtra else { throw ArchiveError("a name or a header in it is too long") }
        var bytes: [UInt8] = []
        while unread > 0 { bytes += try read(upTo: unread) }
        try skipPadding()
        return bytes
    }

    private mutating func skipPadding() throws {
        _ = try take(padding)
        padding = 0
    }

    private mutating func take(_ count: Int) throws -> ArraySlice<UInt8> {
        while buffer.count - position < count { try fill() }
        defer { position += count }
        return buffer[position..<position + count]
    }

    /// Reads more. Throws at the end of the stream, because an archive has its own end marker.
    private mutating func fill() throws {
        let rest = Array(buffer[position...])
        let room = 1 << 18
        let input = input
        var count = 0
        let more = try [UInt8](unsafeUninitializedCapacity: room) { bytes, initialized in
            count = try systemCall("read") { Glibc.read(input, bytes.baseAddress, room) }
            initialized = count
        }
        guard count > 0 else { throw ArchiveError("it ends too early") }
        buffer = rest + more
        position = 0
    }
}
