/// Makes kernel files, sound ones and damaged ones.
public enum KernelFile {
    /// An ELF file for x86-64 whose segments are (physical address, content, bytes in memory) and which may have a PVH note.
    public static func elf(
        entry: UInt64, segments: [(address: UInt64, content: [UInt8], size: UInt64)], startInfoEntry: UInt32? = nil
    ) -> [UInt8] {
        let headers = segments.count + (startInfoEntry == nil ? 0 : 1)
        var place = 64 + headers * 56
        var table: [UInt8] = []
        var contents: [UInt8] = []
        func header(kind: UInt32, address: UInt64, content: [UInt8], size: UInt64) {
            table += bytes(kind) + bytes(UInt32(7)) + bytes(UInt64(place)) + bytes(address) + bytes(address)
            table += bytes(UInt64(content.count)) + bytes(size) + bytes(UInt64(4096))
            contents += content
            place += content.count
        }
        for segment in segments {
            header(kind: 1, address: segment.address, content: segment.content, size: segment.size)
        }
        if let startInfoEntry {
            let note =
                bytes(UInt32(4)) + bytes(UInt32(4)) + bytes(UInt32(18)) + Array("Xen\0".utf8) + bytes(startInfoEntry)
            header(kind: 4, address: 0, content: note, size: UInt64(note.count))
        }
        var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
        file += bytes(UInt16(2)) + bytes(UInt16(62)) + bytes(UInt32(1)) + bytes(entry) + bytes(UInt64(64))
        file += bytes(UInt64(0)) + bytes(UInt32(0)) + bytes(UInt16(64)) + bytes(UInt16(56))
        file += bytes(UInt16(headers)) + bytes(UInt16(0)) + bytes(UInt16(0)) + bytes(UInt16(0))
        return file + table + contents
    }

    /// A bzImage with this much code behind one sector of setup.
    public static func compressed(code: [UInt8], preferred: UInt64 = 0x100_0000, memory: UInt32 = 1 << 20) -> [UInt8] {
        var file = [UInt8](repeating: 0, count: 1024)
        func put(_ offset: Int, _ value: [UInt8]) { file.replaceSubrange(offset..<(offset + value.count), with: value) }
        put(0x1f1, [1])
        put(0x201, [0x6a])
        put(0x202, Array("HdrS".utf8))
        put(0x206, bytes(UInt16(0x20f)))
        put(0x22c, bytes(UInt32(0x7fff_ffff)))
        put(0x236, bytes(UInt16(0x7f)))
        put(0x258, bytes(preferred))
        put(0x260, bytes(memory))
        return file + code
    }

    /// A number as little-endian bytes.
    public static func bytes<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian, Array.init)
    }
}
