import KernelFormat

/// The compressed kernel inside a Linux `bzImage`, which its own code unpacks at boot (Linux boot protocol,
/// Documentation/arch/x86/boot.rst, `payload_offset` and `payload_length`).
struct KernelPayload: Sendable, Hashable {
    /// The compression, named after the host's program for it.
    enum Format: String, Sendable, CaseIterable {
        case gzip, xz, lz4, zstd

        /// The Debian package with the program.
        var package: String { self == .xz ? "xz-utils" : rawValue }

        /// The payload's magic bytes as listed in boot.rst; for lz4 those of its legacy format.
        var magic: [UInt8] {
            switch self {
            case .gzip: [0x1f, 0x8b]
            case .xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]
            case .lz4: [0x02, 0x21, 0x4c, 0x18]
            case .zstd: [0x28, 0xb5, 0x2f, 0xfd]
            }
        }
    }

    /// Why no payload can be extracted.
    enum Refusal: Error, Sendable, Hashable {
        /// The kernel is fine but must unpack itself. The reason completes a sentence that begins with "the kernel".
        case unpacksItself(String)
        /// The file cannot boot at all. The reason as above.
        case damaged(String)
    }

    let format: Format
    /// The range of the compressed bytes in the file, without the size that follows them.
    let bytes: Range<Int>
    /// The unpacked size as declared in the file.
    let unpackedSize: Int

    /// The limit for an unpacked kernel; the largest kernels of distributions have a tenth of it.
    static let largestKernel = 512 << 20
    private static let leastPayload = 16

    /// Finds the payload in a whole file. Throws for any file without a valid one.
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
        // 32-bit numbers, which cannot overflow in 64 bits.
        let (start, limit) = (Int(header.payload.lowerBound), Int(header.payload.upperBound))
        guard header.payload.count >= Self.leastPayload else { throw .unpacksItself("has no payload") }
        guard limit <= file.count else {
            throw .damaged("is cut off: its payload ends at byte \(limit) of \(file.count)")
        }
        guard let format = Format.allCases.first(where: { file[start...].starts(with: $0.magic) }) else {
            throw .unpacksItself("is compressed in an unknown format")
        }
        // Linux's build appends the unpacked size for all formats but gzip, whose format ends with it.
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

/// The check of an unpacked kernel before guests boot it.
enum UnpackedKernel {
    /// Whether this is the start of an x86-64 ELF file whose entry is a physical address above 1 MiB, as in every vmlinux.
    static func isBootable(_ start: [UInt8]) -> Bool {
        guard let header = try? ELFHeader(start) else { return false }
        return (1 << 20..<1 << 32).contains(header.entry)
    }
}
