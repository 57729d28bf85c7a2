import Glibc
import HostSystem
import GuestControl
import LabSpec

/// A guest of 215 bytes that boots in a fraction of a second and needs no image.
///
/// It prints `kernel says hello` on COM1 and `ready` on COM2, then echoes COM2, except for: `r` resets the machine,
/// `p` powers it off, `x` writes to the panic device, `f` sends 200,000 bytes (200000 counting down, the low byte of
/// each) to COM1 and then `F` to COM2. Multiboot, 32-bit; its source is at the end of this file.
enum ProbeGuest {
    static let kernel: [UInt8] = {
        let digits = Array(text.utf8.filter { $0 > 0x20 })
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
        }
    }()

    private static let text = """
        02b0ad1b00000100fe4f51e40000100000001000000000000000000020001000bebd001000baf8030000e871000000baf802
        0000bed0001000e862000000bafd020000eca80174f6baf8020000ec3c72740f3c7074153c78741e3c667424eeebddbaf90c
        0000b006eeebd3ba0406000066b8002066efebc6ba05050000b001eeebbcb9400d0300baf8030000e82100000088c8eee2f6
        baf8020000b046eeeb9eac84c0740c88c3e80600000088d8eeebefc35283c205eca82074fb5ac36b65726e656c2073617973
        2068656c6c6f0a0072656164790a00
        """

    /// The same as an ELF file whose note (of kind 18, XEN_ELFNOTE_PHYS32_ENTRY) names a 32-bit entry, as vmlab-vmm wants it.
    static let elf: [UInt8] = {
        func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
            (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> Value(8 * $0)) }
        }
        func header(_ kind: UInt32, at place: Int, _ address: UInt64, _ size: Int) -> [UInt8] {
            let words = [UInt64(place), address, address, UInt64(size), UInt64(size), 4096]
            return bytes(kind) + bytes(UInt32(7)) + words.flatMap { bytes($0) }
        }
        let (base, code): (UInt64, Int) = (0x10_0000, 64 + 2 * 56)
        let note =
            bytes(UInt32(4)) + bytes(UInt32(4)) + bytes(UInt32(18)) + Array("Xen\0".utf8) + bytes(UInt32(base) + 32)
        var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
        file += bytes(UInt16(2)) + bytes(UInt16(62)) + bytes(UInt32(1)) + bytes(base + 32) + bytes(UInt64(64))
        file += bytes(UInt64(0)) + bytes(UInt32(0)) + bytes(UInt16(64)) + bytes(UInt16(56)) + bytes(UInt16(2))
        file += bytes(UInt16(0)) + bytes(UInt32(0))
        file += header(1, at: code, base, kernel.count) + header(4, at: code + kernel.count, 0, note.count)
        return file + kernel + note
    }()

    /// A machine of this guest for vmlab-vmm.
    static func monitorConfiguration(in folder: String, name: String) throws -> MachineConfiguration {
        try configuration(in: folder, name: name, kernel: elf)
    }

    /// A machine of this guest in `folder`, where its kernel is put.
    static func configuration(
        in folder: String, name: String = "probe", kernel: [UInt8] = kernel
    ) throws -> MachineConfiguration {
        let path = folder + "/kernel"
        if access(path, F_OK) != 0 {
            let file = try OwnedDescriptor.open(path, O_WRONLY | O_CREAT)
            guard write(file.number, kernel, kernel.count) == kernel.count else { throw SystemCallError("write", path) }
        }
        return MachineConfiguration(
            name: name, image: BootableImage(name: "probe", id: "probe", os: .linux, kernel: path),
            memory: .mebibytes(32), cpus: 1, cmdline: "", directory: folder)
    }
}

// `as --32`, then `objcopy -O binary -j .text`:
//
//    .code32
//    .set base, 0x100000
//    header: .long 0x1BADB002, 0x00010000, -(0x1BADB002+0x00010000)
//     .long base, base, 0, 0, base + (start - header)
//    start:
//     mov $base + (text - header), %esi
//     mov $0x3f8, %edx
//     call print
//     mov $0x2f8, %edx
//     mov $base + (ready - header), %esi
//     call print
//    wait:
//     mov $0x2fd, %edx
//     in %dx, %al
//     test $1, %al
//     jz wait
//     mov $0x2f8, %edx
//     in %dx, %al
//     cmp $'r', %al
//     je reset
//     cmp $'p', %al
//     je power
//     cmp $'x', %al
//     je panic
//     cmp $'f', %al
//     je flood
//     out %al, %dx
//     jmp wait
//    reset:
//     mov $0xcf9, %edx
//     mov $6, %al
//     out %al, %dx
//     jmp wait
//    power:
//     mov $0x604, %edx
//     mov $0x2000, %ax
//     out %ax, %dx
//     jmp wait
//    panic:
//     mov $0x505, %edx
//     mov $1, %al
//     out %al, %dx
//     jmp wait
//    flood:
//     mov $200000, %ecx
//     mov $0x3f8, %edx
//    1: call ready_to_send
//     mov %cl, %al
//     out %al, %dx
//     loop 1b
//     mov $0x2f8, %edx
//     mov $'F', %al
//     out %al, %dx
//     jmp wait
//    print:
//     lodsb
//     test %al, %al
//     jz 2f
//     mov %al, %bl
//     call ready_to_send
//     mov %bl, %al
//     out %al, %dx
//     jmp print
//    2: ret
//    ready_to_send:
//     push %edx
//     add $5, %edx
//    3: in %dx, %al
//     test $0x20, %al
//     jz 3b
//     pop %edx
//     ret
//    text: .asciz "kernel says hello\n"
//    ready: .asciz "ready\n"
