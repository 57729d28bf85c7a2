// The bare ioctls of a freestanding guest's life, as fast as C makes them: the baseline of `kvm-ioctls`.
//
//   kvm-loop GUESTS [CLOSERS]
//
// Each guest is created, gets one memory slot, interrupt controllers and a processor, writes a byte to a port, halts, and is
// closed. Prints `created SECONDS` (until the last guest has run) and `total SECONDS` (until the last is closed).
//
// Closing a VM waits some 15 ms for the kernel's other processors, and is left to CLOSERS threads (8), with a queue as long.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { memory_size = 1 << 20, code_address = 0x1000, port = 0x402, most_closers = 64 };

// mov al, '!'; mov dx, 0x402; out dx, al; hlt - in real mode.
static const uint8_t code[] = {0xb0, '!', 0xba, port & 0xff, port >> 8, 0xee, 0xf4};

struct guest {
    int vm, vcpu;
    uint8_t *memory;
    struct kvm_run *run;
};

static size_t run_size;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int check(int result, const char *what) {
    if (result >= 0) return result;
    fprintf(stderr, "kvm-loop: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *map(int file, size_t size, int flags) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, file, 0);
    check(memory == MAP_FAILED ? -1 : 0, "mmap");
    return memory;
}

static struct guest create(int kvm) {
    struct guest guest = {.vm = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM")};
    guest.memory = map(-1, memory_size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    memcpy(guest.memory + code_address, code, sizeof code);
    // Before the interrupt controllers: afterwards it takes ten times as long.
    struct kvm_userspace_memory_region region = {.memory_size = memory_size, .userspace_addr = (uintptr_t)guest.memory};
    check(ioctl(guest.vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    check(ioctl(guest.vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
    guest.vcpu = check(ioctl(guest.vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    guest.run = map(guest.vcpu, run_size, MAP_SHARED);
    struct kvm_sregs system;
    check(ioctl(guest.vcpu, KVM_GET_SREGS, &system), "KVM_GET_SREGS");
    system.cs.base = 0;
    system.cs.selector = 0;
    check(ioctl(guest.vcpu, KVM_SET_SREGS, &system), "KVM_SET_SREGS");
    struct kvm_regs registers = {.rip = code_address, .rflags = 2};
    check(ioctl(guest.vcpu, KVM_SET_REGS, &registers), "KVM_SET_REGS");
    return guest;
}

// Until it has written its byte and is at its `hlt`, which the kernel keeps to itself: the next exit would never come.
static void run(struct guest *guest) {
    check(ioctl(guest->vcpu, KVM_RUN, 0), "KVM_RUN");
    if (guest->run->exit_reason != KVM_EXIT_IO || guest->run->io.port != port) {
        fprintf(stderr, "kvm-loop: exit reason %u\n", guest->run->exit_reason);
        exit(1);
    }
    // Completes the instruction without going on.
    guest->run->immediate_exit = 1;
    if (ioctl(guest->vcpu, KVM_RUN, 0) == 0 || errno != EINTR) check(-1, "KVM_RUN");
}

static void destroy(struct guest *guest) {
    munmap(guest->run, run_size);
    close(guest->vcpu);
    close(guest->vm);
    munmap(guest->memory, memory_size);
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct guest guests[most_closers];
    int count, limit;
    int is_over;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *closer(void *nothing) {
    pthread_mutex_lock(&queue.lock);
    while (queue.count > 0 || !queue.is_over) {
        if (queue.count == 0) {
            pthread_cond_wait(&queue.changed, &queue.lock);
            continue;
        }
        struct guest guest = queue.guests[--queue.count];
        pthread_cond_broadcast(&queue.changed);
        pthread_mutex_unlock(&queue.lock);
        destroy(&guest);
        pthread_mutex_lock(&queue.lock);
    }
    pthread_mutex_unlock(&queue.lock);
    return nothing;
}

static void close_later(struct guest guest) {
    pthread_mutex_lock(&queue.lock);
    while (queue.count == queue.limit) pthread_cond_wait(&queue.changed, &queue.lock);
    queue.guests[queue.count++] = guest;
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
}

int main(int count, char **words) {
    int guests = count > 1 ? atoi(words[1]) : 0;
    queue.limit = count > 2 ? atoi(words[2]) : 8;
    if (guests < 1 || queue.limit < 1 || queue.limit > most_closers) {
        fprintf(stderr, "usage: kvm-loop GUESTS [CLOSERS up to %d]\n", most_closers);
        return 2;
    }
    int kvm = check(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
    run_size = (size_t)check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
    pthread_t threads[most_closers];
    for (int index = 0; index < queue.limit; index++)
        check(-pthread_create(&threads[index], NULL, closer, NULL), "pthread_create");
    double begun = now();
    for (int index = 0; index < guests; index++) {
        struct guest guest = create(kvm);
        run(&guest);
        close_later(guest);
    }
    printf("created %.6f\n", now() - begun);
    pthread_mutex_lock(&queue.lock);
    queue.is_over = 1;
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    for (int index = 0; index < queue.limit; index++) pthread_join(threads[index], NULL);
    printf("total %.6f\n", now() - begun);
}
