import KernelFormat
import VirtualHardware

/// A kernel as an ELF file for x86-64: a Linux `vmlinux`, or a small kernel of one's own.
struct ELFKernel: Sendable {
    /// A part of the file that goes to memory (`PT_LOAD`).
    struct Segment: Sendable {
        var offset: UInt64
        var address: UInt64
        var fileSize: UInt64
        var memorySize: UInt64
    }

    let segments: [Segment]
    /// The 64-bit entry, if the file's entry is a physical address in one of its segments.
    let entry: UInt64?
    /// The 32-bit entry of the PVH boot protocol, from the note `XEN_ELFNOTE_PHYS32_ENTRY`.
    let startInfoEntry: UInt32?

    private static let mostProgramHeaders: UInt64 = 64
    private static let longestNotes = 64 * 1024

    init(_ file: HostFile) throws(BootError) {
        func malformed(_ reason: String) -> BootError {
            .malformed(path: file.path, reason: reason, remedy: "give a vmlinux or bzImage of Linux for x86-64")
        }
        do {
            let header = try ELFHeader(try file.bytes(at: 0, count: ELFHeader.size))
            guard (1...Self.mostProgramHeaders).contains(header.programHeaderCount) else {
                throw malformed("an ELF file without program headers")
            }
            let table = header.programHeaderCount * ELFHeader.programHeaderSize
            let headers = try file.bytes(at: header.programHeaders, count: Int(table))
            var segments: [Segment] = []
            var startInfoEntry: UInt32?
            for start in stride(from: 0, to: table, by: UInt64.Stride(ELFHeader.programHeaderSize)) {
                guard let kind = headers.field(start, UInt32.self), let offset = headers.field(start + 8, UInt64.self),
                    let address = headers.field(start + 24, UInt64.self),
                    let fileSize = headers.field(start + 32, UInt64.self),
                    let memorySize = headers.field(start + 40, UInt64.self)
                else { throw malformed("the ELF file is cut off") }
                if kind == 1, memorySize > 0 {
                    let end = offset.addingReportingOverflow(fileSize)
                    guard fileSize <= memorySize, !end.overflow, end.partialValue <= file.size,
                        !address.addingReportingOverflow(memorySize).overflow
                    else { throw malformed("the ELF file is cut off or its headers are damaged") }
                    segments.append(
                        Segment(offset: offset, address: address, fileSize: fileSize, memorySize: memorySize))
                } else if kind == 4, startInfoEntry == nil {
                    let size = Int(min(fileSize, UInt64(Self.longestNotes)))
                    startInfoEntry = Self.startInfoEntry(in: try file.bytes(at: offset, count: size))
                }
            }
            guard !segments.isEmpty else { throw malformed("an ELF file with nothing to load") }
            self.segments = segments
            self.startInfoEntry = startInfoEntry
            let entry = header.entry
            let isInside = segments.contains { $0.address <= entry && entry - $0.address < $0.fileSize }
            self.entry = isInside ? entry : nil
            guard isInside || startInfoEntry != nil else { throw malformed("an ELF file without an entry") }
        } catch let problem as ELFHeader.Problem {
            throw malformed(problem.reason)
        } catch {
            throw BootError(error)
        }
    }

    /// Finds the PVH entry among ELF notes: name `Xen`, type 18, a 32- or 64-bit number.
    private static func startInfoEntry(in notes: [UInt8]) -> UInt32? {
        var place: UInt64 = 0
        while let nameSize = notes.field(place, UInt32.self), let size = notes.field(place + 4, UInt32.self),
            let type = notes.field(place + 8, UInt32.self)
        {
            let name = place + 12
            let content = name + (UInt64(nameSize) + 3) / 4 * 4
            if type == 18, nameSize == 4, notes.field(name, UInt32.self) == 0x6e_6558 {
                return size >= 4 ? notes.field(content, UInt32.self) : nil
            }
            place = content + (UInt64(size) + 3) / 4 * 4
        }
        return nil
    }
}
