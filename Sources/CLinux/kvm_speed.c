#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

// mov ecx, imm32; 1: dec ecx; jnz 1b; hlt - in real mode, so with operand-size prefixes.
static const uint8_t loop_code[] = {0x66, 0xb9, 0, 0, 0, 0, 0x66, 0x49, 0x75, 0xfc, 0xf4};
enum { code_address = 0x1000, memory_size = 0x2000, slice = 5000 };
enum { hopeless_nanoseconds = 3000000, patience_microseconds = 13000 };

static uint64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

struct scratch {
    int vm, vcpu;
    uint8_t *memory;
    struct kvm_run *run;
    size_t run_size;
};

static int failed(struct vmlab_kvm_speed *speed, const char *step) {
    speed->step = step;
    return errno != 0 ? errno : EIO;
}

static int build(int kvm, struct scratch *vm, struct vmlab_kvm_speed *speed) {
    vm->vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm->vm < 0) return failed(speed, "KVM_CREATE_VM");
    vm->memory = mmap(NULL, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (vm->memory == MAP_FAILED) return failed(speed, "mmap");
    struct kvm_userspace_memory_region region = {
        .guest_phys_addr = 0, .memory_size = memory_size, .userspace_addr = (uintptr_t)vm->memory};
    if (ioctl(vm->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0) return failed(speed, "KVM_SET_USER_MEMORY_REGION");
    vm->vcpu = ioctl(vm->vm, KVM_CREATE_VCPU, 0);
    if (vm->vcpu < 0) return failed(speed, "KVM_CREATE_VCPU");
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < (int)sizeof(struct kvm_run)) return failed(speed, "KVM_GET_VCPU_MMAP_SIZE");
    vm->run_size = (size_t)size;
    vm->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
    if (vm->run == MAP_FAILED) return failed(speed, "mmap");
    struct kvm_sregs system;
    if (ioctl(vm->vcpu, KVM_GET_SREGS, &system) < 0) return failed(speed, "KVM_GET_SREGS");
    system.cs.base = 0;
    system.cs.selector = 0;
    if (ioctl(vm->vcpu, KVM_SET_SREGS, &system) < 0) return failed(speed, "KVM_SET_SREGS");
    return 0;
}

// Runs the loop `count` times round; 1 when it got to its hlt, 0 when interrupted, -1 on an error.
static int run_slice(struct scratch *vm, uint32_t count) {
    memcpy(vm->memory + code_address, loop_code, sizeof loop_code);
    memcpy(vm->memory + code_address + 2, &count, sizeof count);
    struct kvm_regs registers = {.rip = code_address, .rflags = 2};
    if (ioctl(vm->vcpu, KVM_SET_REGS, &registers) < 0) return -1;
    if (ioctl(vm->vcpu, KVM_RUN, 0) < 0) return errno == EINTR ? 0 : -1;
    if (vm->run->exit_reason == KVM_EXIT_HLT) return 1;
    errno = EIO;
    return -1;
}

static void nothing(int number) { (void)number; }

// Interrupts a KVM_RUN that never comes back: SIGALRM from a timer aimed at this thread.
static int arm(timer_t *timer, uint32_t microseconds, struct sigaction *before, sigset_t *mask) {
    struct sigaction action = {.sa_handler = nothing};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGRTMIN + 5, &action, before) != 0) return -1;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 5};
    event._sigev_un._tid = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, timer) != 0) {
        sigaction(SIGRTMIN + 5, before, NULL);
        return -1;
    }
    sigset_t unblock;
    sigemptyset(&unblock);
    sigaddset(&unblock, SIGRTMIN + 5);
    pthread_sigmask(SIG_UNBLOCK, &unblock, mask);
    // It repeats, so that a signal that arrives just before KVM_RUN is not the only one.
    struct itimerspec when = {
        .it_value = {microseconds / 1000000, (long)(microseconds % 1000000) * 1000}, .it_interval = {0, 1000000}};
    return timer_settime(*timer, 0, &when, NULL);
}

static void release(const struct scratch *vm) {
    if (vm->run != MAP_FAILED) munmap(vm->run, vm->run_size);
    if (vm->vcpu >= 0) close(vm->vcpu);
    if (vm->vm >= 0) close(vm->vm);
    if (vm->memory != MAP_FAILED) munmap(vm->memory, memory_size);
}

static void *release_and_free(void *vm) {
    release(vm);
    free(vm);
    return NULL;
}

// Closing a VM takes some 15 ms (the kernel waits for all processors), for which nobody needs to wait.
static void release_later(const struct scratch *vm) {
    struct scratch *copy = malloc(sizeof *copy);
    pthread_t thread;
    if (copy != NULL) {
        *copy = *vm;
        if (pthread_create(&thread, NULL, release_and_free, copy) == 0) {
            pthread_detach(thread);
            return;
        }
        free(copy);
    }
    release(vm);
}

int vmlab_kvm_speed(int kvm, uint32_t iterations, uint32_t limit_microseconds, struct vmlab_kvm_speed *speed) {
    memset(speed, 0, sizeof *speed);
    errno = 0;
    int version = ioctl(kvm, KVM_GET_API_VERSION, 0);
    if (version < 0) return failed(speed, "KVM_GET_API_VERSION");
    speed->api_version = version;
    if (version != KVM_API_VERSION) return 0;

    struct scratch vm = {.vm = -1, .vcpu = -1, .memory = MAP_FAILED, .run = MAP_FAILED};
    timer_t timer;
    struct sigaction before;
    sigset_t mask;
    int error = build(kvm, &vm, speed);
    if (error == 0 && arm(&timer, limit_microseconds, &before, &mask) != 0) error = failed(speed, "timer_create");
    if (error == 0) {
        // The first slice pays for faulting in the memory and is not counted.
        int state = run_slice(&vm, 1);
        uint64_t begin = now(CLOCK_MONOTONIC);
        // The quickest slice in processor time counts: a busy host must not make its processor look like an interpreter.
        uint32_t hopeless = 0, patience = limit_microseconds / patience_microseconds;
        for (uint32_t done = 0; state == 1 && done < iterations; done += slice) {
            uint64_t slice_begin = now(CLOCK_THREAD_CPUTIME_ID);
            state = run_slice(&vm, slice);
            uint64_t taken = now(CLOCK_THREAD_CPUTIME_ID) - slice_begin;
            // Where this host is a guest itself, its processor clock may stand still for a slice, or jump by milliseconds
            // while it does not run at all.
            if (taken == 0) continue;
            if (state == 1 && (speed->instructions == 0 || taken < speed->nanoseconds)) {
                speed->instructions = 2ull * slice;
                speed->nanoseconds = taken;
            }
            // At a hundredth of the slowest hardware it is an interpreter, however busy the host; the longer the limit, the more
            // slices must say so.
            if (taken > hopeless_nanoseconds) hopeless += 1;
            if (hopeless >= patience || now(CLOCK_MONOTONIC) - begin > 1000ull * limit_microseconds) break;
        }
        if (state < 0) error = failed(speed, "KVM_RUN");
        timer_delete(timer);
        sigaction(SIGRTMIN + 5, &before, NULL);
        pthread_sigmask(SIG_SETMASK, &mask, NULL);
    }
    release_later(&vm);
    return error;
}
