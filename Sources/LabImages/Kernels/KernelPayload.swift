import KernelFormat

/// The compressed kernel inside a Linux `bzImage`: what its own code unpacks when it boots (Linux boot protocol,
/// Documentation/arch/x86/boot.rst, `payload_offset` and `payload_length`).
struct KernelPayload: Sendable, Hashable {
    /// How it is compressed. The name is that of the host's program for it.
    enum Format: String, Sendable, CaseIterable {
        case gzip, xz, lz4, zstd

        /// The Debian package with the program.
        var package: String { self == .xz ? "xz-utils" : rawValue }

        /// The first bytes of such a payload, as boot.rst lists them; those of lz4 are its legacy format's.
        var magic: [UInt8] {
            switch self {
            case .gzip: [0x1f, 0x8b]
            case .xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]
            case .lz4: [0x02, 0x21, 0x4c, 0x18]
            case .zstd: [0x28, 0xb5, 0x2f, 0xfd]
            }
        }
    }

    /// Why there is no payload to take out.
    enum Refusal: Error, Sendable, Hashable {
        /// Nothing is wrong; such a kernel unpacks itself. The reason goes on from "the kernel".
        case unpacksItself(String)
        /// The file cannot boot in any way. The reason goes on likewise.
        case damaged(String)
    }

    let format: Format
    /// Where its compressed bytes are in the file, without the size that follows them.
    let bytes: Range<Int>
    /// The bytes that it unpacks to, as the file says.
    let unpackedSize: Int

    /// The most that a kernel may unpack to; the largest of distributions take a tenth.
    static let largestKernel = 512 << 20
    private static let leastPayload = 16

    /// Finds it in a whole file. Throws for each file without a sound one, whatever the bytes.
    init(in file: [UInt8]) throws(Refusal) {
        let header: LinuxHeader?
        do throws(LinuxHeader.Problem) {
            header = try LinuxHeader(file)
        } catch {
            switch error {
            case .cutOff: throw .damaged("is cut off within its header")
            case .noLongEntry: throw .unpacksItself("has no 64-bit entry")
            }
        }
        guard let header else { throw .unpacksItself("is not a bzImage") }
        // Numbers of 32 bits at most, which cannot overflow these 64.
        let (start, limit) = (Int(header.payload.lowerBound), Int(header.payload.upperBound))
        guard header.payload.count >= Self.leastPayload else { throw .unpacksItself("has no payload") }
        guard limit <= file.count else {
            throw .damaged("is cut off: its payload ends at byte \(limit) of \(file.count)")
        }
        guard let format = Format.allCases.first(where: { file[start...].starts(with: $0.magic) }) else {
            throw .unpacksItself("is compressed in an unknown format")
        }
        // Linux's build adds the unpacked size to all formats but gzip's, which ends with it by itself.
        let end = limit - 4
        let size = Int(file.field(UInt64(end), UInt32.self) ?? 0)
        guard size > 0, size <= Self.largestKernel else {
            throw .unpacksItself(
                "says that it unpacks to \(size) bytes, more than the limit of \(Self.largestKernel)")
        }
        self.format = format
        bytes = start..<(format == .gzip ? limit : end)
        unpackedSize = size
    }
}

/// What is asked of an unpacked kernel before guests boot it in place of the file that it came from.
enum UnpackedKernel {
    /// Whether a file that begins so is an ELF file for x86-64 whose entry is a physical address beyond the first MiB, as
    /// that of every vmlinux is.
    static func isBootable(_ start: [UInt8]) -> Bool {
        guard let header = try? ELFHeader(start) else { return false }
        return (1 << 20..<1 << 32).contains(header.entry)
    }
}
