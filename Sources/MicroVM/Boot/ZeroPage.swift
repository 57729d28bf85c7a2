import KernelFormat
import VirtualHardware

/// `boot_params` of the Linux boot protocol: what a 64-bit entry finds in RSI.
struct ZeroPage {
    private static let ramdiskImage = 0x218
    private static let ramdiskSize = 0x21c
    private static let commandLinePointer = 0x228
    private static let initrdAddressMax = 0x22c
    private static let acpiRoot = 0x70
    private static let mapCount = 0x1e8
    private static let map = 0x2d0

    private let memory: GuestMemory
    private var page = [UInt8](repeating: 0, count: 4096)
    var commandLineSize: UInt32 = 0
    var ramdisk: Range<UInt64>?

    init(memory: GuestMemory) { self.memory = memory }

    /// The highest address for the initial RAM disk that the kernel's header allows.
    var initrdLimit: UInt64 { UInt64(page.field(UInt64(Self.initrdAddressMax), UInt32.self) ?? 0) }

    /// Takes over the setup header of a bzImage.
    mutating func useHeader(_ header: [UInt8]) {
        let start = LinuxHeader.offset
        let count = min(header.count, Self.map - start)
        page.replaceSubrange(start..<(start + count), with: header[..<count])
    }

    /// The setup header of a kernel that has none of its own, as a vmlinux.
    mutating func useDefaultHeader() {
        set(0x1fe, UInt16(0xaa55))
        set(0x202, LinuxHeader.magic)
        set(0x206, UInt16(0x20f))
        set(0x211, UInt8(1))
        set(0x230, UInt32(0x20_0000))
        set(Self.initrdAddressMax, UInt32(0x7fff_ffff))
    }

    mutating func write() throws(GuestMemoryError) {
        // A boot loader without a number of its own.
        set(0x210, UInt8(0xff))
        set(Self.commandLinePointer, UInt32(truncatingIfNeeded: MachineLayout.commandLine))
        set(0x238, commandLineSize)
        set(Self.acpiRoot, MachineLayout.acpiTables.lowerBound)
        if let ramdisk {
            set(Self.ramdiskImage, UInt32(truncatingIfNeeded: ramdisk.lowerBound))
            set(Self.ramdiskSize, UInt32(truncatingIfNeeded: ramdisk.count))
        }
        let entries = MemoryMap.entries(memory)
        set(Self.mapCount, UInt8(truncatingIfNeeded: entries.count))
        for (index, entry) in entries.enumerated() {
            let start = Self.map + index * 20
            set(start, entry.range.lowerBound)
            set(start + 8, entry.range.upperBound - entry.range.lowerBound)
            set(start + 16, entry.kind.rawValue)
        }
        try memory.write(page, at: MachineLayout.zeroPage)
    }

    private mutating func set<Value: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ value: Value) {
        page.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Value.self) }
    }
}

/// The memory map that both boot protocols hand over (types as in ACPI 6.4, 15.2).
enum MemoryMap {
    enum Kind: UInt32 {
        case ram = 1
        case reserved = 2
    }

    static func entries(_ memory: GuestMemory) -> [(range: Range<UInt64>, kind: Kind)] {
        var entries: [(range: Range<UInt64>, kind: Kind)] = [
            (0..<MachineLayout.lowMemoryEnd, .ram),
            (MachineLayout.lowMemoryEnd..<MachineLayout.highMemoryStart, .reserved),
        ]
        for region in memory.regions {
            entries.append((max(region.base, MachineLayout.highMemoryStart)..<region.end, .ram))
        }
        return entries
    }
}

/// `hvm_start_info` of the PVH boot protocol (xen/include/public/arch-x86/hvm/start_info.h, version 1): what a 32-bit entry
/// finds in EBX.
struct StartInfo {
    private static let magic: UInt32 = 0x336e_c578

    let memory: GuestMemory
    let ramdisk: Range<UInt64>?

    func write() throws(GuestMemoryError) {
        let start = MachineLayout.startInfo
        let modules = start + 64
        let map = modules + 32
        let entries = MemoryMap.entries(memory)
        try memory.store(Self.magic, at: start)
        try memory.store(UInt32(1), at: start + 4)
        try memory.store(UInt32(ramdisk == nil ? 0 : 1), at: start + 12)
        try memory.store(modules, at: start + 16)
        try memory.store(MachineLayout.commandLine, at: start + 24)
        try memory.store(MachineLayout.acpiTables.lowerBound, at: start + 32)
        try memory.store(map, at: start + 40)
        try memory.store(UInt32(entries.count), at: start + 48)
        if let ramdisk {
            try memory.store(ramdisk.lowerBound, at: modules)
            try memory.store(UInt64(ramdisk.count), at: modules + 8)
        }
        for (index, entry) in entries.enumerated() {
            let place = map + UInt64(index) * 24
            try memory.store(entry.range.lowerBound, at: place)
            try memory.store(entry.range.upperBound - entry.range.lowerBound, at: place + 8)
            try memory.store(entry.kind.rawValue, at: place + 16)
        }
    }
}
