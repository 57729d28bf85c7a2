import Glibc
import HostSystem
import LabEngine
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

    /// A machine of this guest in `folder`, where its kernel is put.
    static func configuration(in folder: String, name: String = "probe") throws -> MachineConfiguration {
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
