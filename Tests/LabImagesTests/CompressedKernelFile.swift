import Foundation

@testable import LabImages

/// Makes compressed kernels, sound ones and damaged ones, with the programs that Linux's build uses.
enum CompressedKernelFile {
    /// An ELF header for x86-64 with its entry at 16 MiB, and some bytes that compress well behind it.
    static func kernel(_ seed: UInt8 = 1, entry: UInt64 = 0x100_0000, size: Int = 200_000) -> [UInt8] {
        var kernel: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
        kernel += bytes(UInt16(2)) + bytes(UInt16(62)) + bytes(UInt32(1)) + bytes(entry)
        return kernel + (kernel.count..<size).map { UInt8(truncatingIfNeeded: $0 >> 8) ^ seed }
    }

    /// A bzImage that unpacks to `kernel`. `size` is what it says about that; some bytes follow the payload, as in real ones.
    static func make(
        _ kernel: [UInt8] = kernel(), _ format: KernelPayload.Format = .lz4, size: Int? = nil
    ) throws -> [UInt8] {
        let options: [KernelPayload.Format: [String]] = [
            // As in Linux's scripts/Makefile.lib and scripts/xz_wrap.sh.
            .gzip: ["-n", "-9", "-c"], .lz4: ["-l", "-9", "-c"], .zstd: ["-q", "-19", "-c"],
            .xz: ["--check=crc32", "--x86", "--lzma2=dict=32MiB", "-c"],
        ]
        let packed = try run(format.rawValue, options[format] ?? [], kernel)
        let end = bytes(UInt32(truncatingIfNeeded: size ?? kernel.count))
        return with(payload: format == .gzip ? packed.dropLast(4) + end : packed + end)
    }

    /// A bzImage with this payload.
    static func with(payload: [UInt8], offset: UInt32 = 300, length: UInt32? = nil) -> [UInt8] {
        var file = [UInt8](repeating: 0, count: 1024)
        func put(_ offset: Int, _ value: [UInt8]) { file.replaceSubrange(offset..<(offset + value.count), with: value) }
        put(0x1f1, [1])
        put(0x202, Array("HdrS".utf8))
        put(0x206, bytes(UInt16(0x20f)))
        put(0x236, bytes(UInt16(0x7f)))
        put(0x248, bytes(offset))
        put(0x24c, bytes(length ?? UInt32(payload.count)))
        return file + [UInt8](repeating: 0x90, count: 300) + payload + [UInt8](repeating: 0xcc, count: 100)
    }

    /// A number as little-endian bytes.
    static func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian, Array.init)
    }

    private static func run(_ program: String, _ arguments: [String], _ input: [UInt8]) throws -> [UInt8] {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("vmlab-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (source, target) = (folder.appendingPathComponent("in"), folder.appendingPathComponent("out"))
        try Data(input).write(to: source)
        try Data().write(to: target)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.standardInput = try FileHandle(forReadingFrom: source)
        process.standardOutput = try FileHandle(forWritingTo: target)
        try process.run()
        process.waitUntilExit()
        return [UInt8](try Data(contentsOf: target))
    }
}
