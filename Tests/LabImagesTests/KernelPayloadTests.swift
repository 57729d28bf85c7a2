import KernelFormat
import Testing

@testable import LabImages

@Suite("Payloads of compressed kernels")
struct KernelPayloadTests {
    typealias File = CompressedKernelFile

    @Test("the format is told by its first bytes, the size by its last", arguments: KernelPayload.Format.allCases)
    func formats(_ format: KernelPayload.Format) throws {
        let kernel = File.kernel()
        let file = try File.make(kernel, format)
        let payload = try KernelPayload(in: file)
        #expect(payload.format == format)
        #expect(payload.unpackedSize == kernel.count)
        #expect(payload.bytes.lowerBound == 1024 + 300)
        // gzip's own size is part of it; the size that the others are given is not.
        #expect(payload.bytes.upperBound == file.count - 100 - (format == .gzip ? 0 : 4))
    }

    @Test(
        "a kernel that the host cannot unpack unpacks itself",
        arguments: [
            ([0x7f, 0x45, 0x4c, 0x46], "is not a bzImage"), ([], "is not a bzImage"),
            (other([0x42, 0x5a, 0x68, 0x39]), "is compressed in an unknown format"),  // bzip2
            (other([0x5d, 0x00, 0x00, 0x80]), "is compressed in an unknown format"),  // lzma
            (other([0x89, 0x4c, 0x5a, 0x4f]), "is compressed in an unknown format"),  // lzo
            (other([0x04, 0x22, 0x4d, 0x18]), "is compressed in an unknown format"),  // lz4 as it is elsewhere
            (changed(0x206, [0x0b, 0x02]), "has no 64-bit entry"), (changed(0x236, [0x7e]), "has no 64-bit entry"),
            (changed(0x24c, [0, 0, 0, 0]), "has no payload"), (changed(0x24c, [15, 0, 0, 0]), "has no payload"),
            (other([0x02, 0x21, 0x4c, 0x18], size: 0), "says that it unpacks to 0 bytes"),
            (other([0x02, 0x21, 0x4c, 0x18], size: .max), "says that it unpacks to 4294967295 bytes"),
            (other([0x1f, 0x8b, 8, 0], size: 1 << 29 + 1), "says that it unpacks to 536870913 bytes"),
        ] as [([UInt8], String)])
    func unpacksItself(_ file: [UInt8], _ reason: String) throws {
        let obstacle = try #require(throws: KernelPayload.Refusal.self) { try KernelPayload(in: file) }
        guard case .unpacksItself(let said) = obstacle else {
            Issue.record("\(obstacle)")
            return
        }
        #expect(said.hasPrefix(reason), "\(said)")
    }

    @Test(
        "a kernel that is cut off is refused, wherever its header points",
        arguments: [
            Array(sound.prefix(0x206)), Array(sound.prefix(LinuxHeader.least - 1)),
            Array(sound.prefix(1024)), Array(sound.dropLast(101)),
            changed(0x248, [0xff, 0xff, 0xff, 0xff]), changed(0x24c, [0xff, 0xff, 0xff, 0xff]), changed(0x1f1, [0xff]),
        ] as [[UInt8]])
    func cutOff(_ file: [UInt8]) throws {
        let obstacle = try #require(throws: KernelPayload.Refusal.self) { try KernelPayload(in: file) }
        guard case .damaged(let reason) = obstacle else {
            Issue.record("\(obstacle)")
            return
        }
        #expect(reason.hasPrefix("is cut off"), "\(reason)")
    }

    @Test("no bytes in the header stop the reader")
    func hostile() {
        var random = SystemRandomNumberGenerator()
        var readable = 0
        for _ in 0..<20_000 {
            var file = Self.sound
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                file[Int.random(in: 0x1f1..<LinuxHeader.least, using: &random)] = .random(in: .min ... .max)
            }
            file.removeLast(Int.random(in: 0...300, using: &random))
            guard let payload = try? KernelPayload(in: file) else { continue }
            readable += 1
            #expect(payload.bytes.upperBound <= file.count && payload.unpackedSize <= KernelPayload.largestKernel)
        }
        #expect(readable > 0)
    }

    @Test("an unpacked kernel is an ELF file for x86-64 with a physical entry beyond 1 MiB")
    func unpacked() {
        #expect(UnpackedKernel.isBootable(File.kernel()))
        #expect(!UnpackedKernel.isBootable(Array(File.kernel().prefix(63))))
        #expect(!UnpackedKernel.isBootable(File.kernel(entry: 0xffff_ffff_8100_0000)))
        #expect(!UnpackedKernel.isBootable(File.kernel(entry: 0x7c00)))
        #expect(!UnpackedKernel.isBootable([UInt8](repeating: 0, count: 64)))
        var i386 = File.kernel()
        i386[4] = 1
        #expect(!UnpackedKernel.isBootable(i386))
    }

    private static let sound = other([0x02, 0x21, 0x4c, 0x18])

    private static func other(_ magic: [UInt8], size: UInt32 = 1000) -> [UInt8] {
        File.with(payload: magic + [UInt8](repeating: 7, count: 40) + File.bytes(size))
    }

    private static func changed(_ offset: Int, _ bytes: [UInt8]) -> [UInt8] {
        var file = sound
        file.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
        return file
    }
}
