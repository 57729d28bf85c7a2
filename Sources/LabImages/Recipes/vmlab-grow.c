// Makes the mounted root file system as large as its disk: `vmlab-grow FOLDER DEVICE`, ext4 only.
//
// A disk on top of an image's may be larger than it. resize2fs asks the kernel for the same, but belongs to a package that small
// systems do not have.

#include <fcntl.h>
#include <linux/fs.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

// From the kernel's fs/ext4/ext4.h.
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

// `stack` has the number of words, and the words: the program's name, the folder, the device.
__attribute__((used)) static void run(long *stack) {
    uint64_t bytes = 0, blocks = 0;
    unsigned size = 0;
    long status = 1;
    if (stack[0] == 3) {
        long folder = call(SYS_open, stack[2], O_RDONLY | O_DIRECTORY, 0), device = call(SYS_open, stack[3], O_RDONLY, 0);
        status = folder < 0 || device < 0 || call(SYS_ioctl, device, (long)BLKGETSIZE64, (long)&bytes) < 0
            || call(SYS_ioctl, folder, (long)FIGETBSZ, (long)&size) < 0 || size == 0;
        blocks = status ? 0 : bytes / size;
        status = status || call(SYS_ioctl, folder, (long)EXT4_IOC_RESIZE_FS, (long)&blocks) < 0;
    }
    call(SYS_exit_group, status, 0, 0);
}

__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call run\n");
