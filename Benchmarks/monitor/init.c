// Process 1 of the measured guest: marks that it runs, then exercises the console and the disk as the driver
// asks. Linked statically. The kernel hands it `mark_port=0x…` of the command line as an environment variable.
#define _GNU_SOURCE
#include "marks.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static unsigned short port;
static void mark(enum mark byte) { outb(byte, port); }

static void fail(const char *what) {
    perror(what);
    reboot(RB_POWER_OFF);
    _exit(1);
}

static void load(const char *module) {
    struct utsname system;
    uname(&system);
    char path[256];
    snprintf(path, sizeof path, "/lib/modules/%s/kernel/drivers/%s.ko", system.release, module);
    int file = open(path, O_RDONLY);
    // Those of another bus than this machine's refuse, which is no harm.
    if (file >= 0) syscall(SYS_finit_module, file, "", 0);
    close(file);
}

static int disk(void) {
    static const char *const modules[] = {
        "virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_legacy_dev", "virtio/virtio_pci_modern_dev",
        "virtio/virtio_pci", "virtio/virtio_mmio", "block/virtio_blk"};
    for (size_t index = 0; index < sizeof modules / sizeof *modules; index++) load(modules[index]);
    mkdir("/dev", 0755);
    if (mount("dev", "/dev", "devtmpfs", 0, NULL) != 0) fail("devtmpfs");
    int file = open("/dev/vda", O_RDONLY | O_DIRECT);
    return file >= 0 ? file : (fail("/dev/vda"), -1);
}

static void console(void) {
    struct termios raw;
    if (tcgetattr(0, &raw) != 0) fail("tcgetattr");
    cfmakeraw(&raw);
    tcsetattr(0, TCSANOW, &raw);
    mark(mark_terminal);
    char buffer[4096];
    do {
        if (read(0, buffer, 1) != 1) fail("read");
    } while (buffer[0] != go);
    memset(buffer, 'x', sizeof buffer);
    mark(mark_output);
    for (int left = output_bytes; left > 0;) {
        ssize_t count = write(1, buffer, left < (int)sizeof buffer ? (size_t)left : sizeof buffer);
        if (count <= 0) fail("write");
        left -= (int)count;
    }
    tcdrain(1);
    mark(mark_input);
    for (int left = input_bytes; left > 0;) {
        ssize_t count = read(0, buffer, sizeof buffer);
        if (count <= 0) fail("read");
        for (ssize_t index = 0; index < count; index++) left -= buffer[index] == 'y';
    }
    mark(mark_input_done);
}

static void reads(int file) {
    void *buffer = aligned_alloc(4096, sequential_request);
    mark(mark_sequential);
    for (off_t at = 0; at < disk_bytes; at += sequential_request)
        if (pread(file, buffer, sequential_request, at) != sequential_request) fail("sequential read");
    mark(mark_random);
    uint32_t state = 1;
    for (int index = 0; index < random_requests; index++) {
        state = state * 1664525u + 1013904223u;
        off_t at = (off_t)((state >> 8) % (disk_bytes / random_request)) * random_request;
        if (pread(file, buffer, random_request, at) != random_request) fail("random read");
    }
}

int main(void) {
    const char *text = getenv("mark_port");
    port = (unsigned short)strtoul(text ? text : "0x402", NULL, 0);
    if (ioperm(port, 1, 1) != 0) fail("ioperm");
    mark(mark_init);
    console();
    reads(disk());
    mark(mark_done);
    reboot(RB_POWER_OFF);
    pause();
}
