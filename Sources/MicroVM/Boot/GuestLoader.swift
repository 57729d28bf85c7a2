import Glibc
import HostSystem
import KernelFormat
import VirtualHardware

/// Loads a kernel, its initrd and its command line into guest memory, and returns the entry of the first vCPU.
package struct GuestLoader: Sendable {
    enum Entry: Sendable, Hashable {
        /// In 64-bit mode with paging on and the zero page in RSI.
        case long(UInt64)
        /// In 32-bit mode without paging and `hvm_start_info` in EBX.
        case startInfo(UInt32)
    }

    private enum Kernel: Sendable {
        case elf(ELFKernel)
        case compressed(LinuxHeader)
    }

    private let file: HostFile
    private let kernel: Kernel
    private let initrd: HostFile?
    private let commandLine: [UInt8]

    /// Opens the files and parses the kernel's headers. Throws what is wrong with them.
    package init(kernel path: String, initrd: String?, commandLine: String) throws(BootError) {
        do throws(SystemCallError) {
            file = try HostFile(path)
            self.initrd = try initrd.map { path throws(SystemCallError) in try HostFile(path) }
        } catch {
            throw .unreadable(error)
        }
        self.commandLine = Array(commandLine.utf8.filter { $0 != 0 }) + [0]
        guard self.commandLine.count <= Int(MachineLayout.commandLineLimit) else {
            throw .longCommandLine(self.commandLine.count - 1)
        }
        kernel = try Self.kernel(in: file)
    }

    private static func kernel(in file: HostFile) throws(BootError) -> Kernel {
        do {
            let start = try file.bytes(at: 0, count: LinuxHeader.most)
            if start.starts(with: ELFHeader.magic) { return .elf(try ELFKernel(file)) }
            guard let header = try LinuxHeader(start) else {
                throw BootError.malformed(
                    path: file.path, reason: "not a Linux kernel for x86: neither a bzImage nor an ELF file",
                    remedy: "in a kernel tree it is vmlinux or arch/x86/boot/bzImage, on Debian /boot/vmlinuz-…")
            }
            guard header.codeStart + LinuxHeader.entryOffset < file.size else { throw LinuxHeader.Problem.cutOff }
            return .compressed(header)
        } catch let problem as LinuxHeader.Problem {
            throw .malformed(
                path: file.path, reason: problem.rawValue, remedy: "give a bzImage of Linux 3.8 or later for x86-64")
        } catch {
            throw BootError(error)
        }
    }

    /// Loads everything into fresh memory (all zeros).
    func load(into memory: GuestMemory) throws(BootError) -> Entry {
        do {
            let low = memory.regions[0]
            var setup = ZeroPage(memory: memory)
            let entry: Entry
            let kernelEnd: UInt64
            switch kernel {
            case .elf(let elf):
                for segment in elf.segments {
                    try copy(
                        file, segment.offset, segment.fileSize, to: segment.address, size: segment.memorySize, memory)
                }
                kernelEnd = elf.segments.map { $0.address + $0.memorySize }.max() ?? 0
                entry = elf.entry.map(Entry.long) ?? .startInfo(elf.startInfoEntry ?? 0)
                setup.useDefaultHeader()
            case .compressed(let header):
                let code = file.size - header.codeStart
                let size = max(header.memorySize, code)
                try copy(file, header.codeStart, code, to: header.preferredAddress, size: size, memory)
                kernelEnd = header.preferredAddress + size
                entry = .long(header.preferredAddress + LinuxHeader.entryOffset)
                setup.useHeader(header.bytes)
            }
            try memory.write(commandLine, at: MachineLayout.commandLine)
            var ramdisk: Range<UInt64>?
            if let initrd, initrd.size > 0 {
                let start = try Self.place(
                    initrd.size, above: kernelEnd, below: min(low.end, setup.initrdLimit + 1))
                try copy(initrd, 0, initrd.size, to: start, size: initrd.size, memory)
                ramdisk = start..<(start + initrd.size)
            }
            setup.commandLineSize = UInt32(commandLine.count)
            setup.ramdisk = ramdisk
            try setup.write()
            try StartInfo(memory: memory, ramdisk: ramdisk).write()
            return entry
        } catch {
            throw BootError(error)
        }
    }

    /// The address of an initial RAM disk: as high as possible below `limit`, in whole pages without bytes of the kernel, because
    /// the guest frees them whole. The arguments may be anything.
    static func place(_ size: UInt64, above kernelEnd: UInt64, below limit: UInt64) throws(BootError) -> UInt64 {
        let top = limit & ~4095
        let (bottom, overflow) = kernelEnd.addingReportingOverflow(4095)
        let have = overflow || bottom & ~4095 > top ? 0 : top - (bottom & ~4095)
        guard size <= have else { throw .tooLarge(what: "the initial RAM disk", need: size, have: have) }
        return (top - size) & ~4095
    }

    /// `count` bytes of a file to guest memory, where `size` bytes must fit above the first MiB.
    private func copy(
        _ file: HostFile, _ offset: UInt64, _ count: UInt64, to address: UInt64, size: UInt64, _ memory: GuestMemory
    ) throws {
        let low = memory.regions[0]
        guard address >= MachineLayout.highMemoryStart, address <= low.end, size <= low.end - address else {
            throw BootError.tooLarge(what: "the kernel", need: address &+ size, have: low.size)
        }
        try file.read(try memory.bytes(at: address, count: count), at: offset)
    }
}
