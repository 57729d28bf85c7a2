// What Linux offers and Swift's Glibc module hides: each declaration says why it is here.
#ifndef VMLAB_CLINUX_H
#define VMLAB_CLINUX_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/types.h>

// A descriptor of the parent and the number under which the child gets it.
struct vmlab_descriptor {
    int source;
    int target;
};

// A child to start. Every pointer stays the caller's.
struct vmlab_spawn {
    const char *executable;          // absolute path
    char *const *arguments;          // argv, null-terminated, argv[0] included
    char *const *environment;        // envp, null-terminated
    const char *working_directory;   // null keeps the parent's
    const struct vmlab_descriptor *descriptors;
    size_t descriptor_count;         // targets not named here are closed, 0-2 included
    bool small_pages;                // no transparent huge pages, where the kernel can do without them
    bool unprivileged;               // no capabilities, no way to gain any, and no core dumps; own namespaces if it may
};

// Starts a child in a session of its own that dies (SIGKILL) with the calling *thread*.
//
// In C because between clone and exec only async-signal-safe code may run, which Swift cannot promise. clone with
// CLONE_VM|CLONE_VFORK copies no page tables however large the parent is, and tells of a failed exec through memory.
// Returns 0 and the pid and pidfd (close-on-exec), or the errno with `*step` naming the call that failed. `*confined` tells
// whether it has namespaces of its own: network, System V objects, host name.
int vmlab_spawn(
    const struct vmlab_spawn *request, pid_t *pid, int *pidfd, bool *confined, const char **step);

// System calls for which the C library has no wrapper on Debian 12's predecessors. They return -1 and set errno.
int vmlab_pidfd_open(pid_t pid);
int vmlab_pidfd_send_signal(int pidfd, int signal);
// Waits for the child behind a pidfd without blocking. 1: reaped, with wait(2)'s status word split; 0: still runs.
int vmlab_pidfd_reap(int pidfd, int *code, int *status);

// fallocate needs _GNU_SOURCE too: gives these bytes of a sparse file back, which then read as zeros; its size stays.
// -1 and errno on failure.
int vmlab_punch_hole(int file, int64_t offset, int64_t length);

// openat2 has no wrapper: opens a path below an open folder, close-on-exec, without a step out of it and without following
// any symbolic link. -1 and errno on failure, ENOSYS where the kernel is older than 5.6.
int vmlab_open_beneath(int folder, const char *path, int flags, mode_t mode);

// renameat2 needs _GNU_SOURCE too: renames; without `replacing` it fails with EEXIST when the new name is taken.
int vmlab_rename(int folder, const char *name, int new_folder, const char *new_name, bool replacing);

// <sys/xattr.h> is not in the Glibc module. As fsetxattr(2), flistxattr(2) and fgetxattr(2).
int vmlab_set_attribute(int file, const char *name, const void *value, size_t size);
ssize_t vmlab_list_attributes(int file, char *names, size_t size);
ssize_t vmlab_attribute(int file, const char *name, void *value, size_t size);

// memfd_create needs _GNU_SOURCE too: a file without a name, close-on-exec. -1 and errno on failure.
int vmlab_memory_file(const char *name);

// <linux/if_tun.h> is not in the Glibc module: makes an open /dev/net/tun the end of the tap interface `name`, frames
// without a header of any kind. -1 and errno on failure.
int vmlab_attach_tap(int tun, const char *name);

// The macros of control messages are not imported: sends one byte over a unix socket, and a descriptor with it, without
// blocking. 1, or -1 and errno.
int vmlab_send_descriptor(int socket, char byte, int descriptor);

// pipe2, accept4 and pthread_setname_np need _GNU_SOURCE, which Swift's Glibc module does not set.
int vmlab_pipe(int ends[2]);                  // close-on-exec
int vmlab_accept(int listener);               // close-on-exec
int vmlab_thread_id(void);                    // the calling thread's, as the kernel and QMP count them
void vmlab_name_thread(const char *name);     // the calling thread, at most 15 bytes

// A signal handler may only do async-signal-safe things, which Swift cannot promise: these two write the number of
// each signal as one byte to `descriptor`. An ignored signal stays ignored (nohup). Return -1 and set errno.
int vmlab_watch_signal(int number, int descriptor);
int vmlab_unwatch_signal(int number);

// Keeps a terminal's settings, and sets it to raw mode, too, until they are restored: by the third function, at exit, and from the
// handlers of the signals of a crash, where only async-signal-safe code may run. The first two return -1 and set errno when
// `file` is no terminal.
int vmlab_terminal_keep(int file);
int vmlab_terminal_raw(int file);
void vmlab_terminal_restore(void);

// The macro CPU_COUNT is not imported: CPUs that this process may run on, at least 1.
int vmlab_cpu_count(void);

// The sandbox: see Sandbox.swift. prctl and syscall are variadic, which Swift does not import. -1 and errno on failure.
int vmlab_forbid_new_privileges(void);
// Puts a seccomp filter over every thread of this process.
int vmlab_filter_calls(const struct sock_filter *program, size_t count);
// From now on a call that the filter traps is told on standard error by its number, and the process exits with status 159.
// In C because it is a signal handler.
int vmlab_explain_trapped_calls(void);
// Landlock's version; 0 where the kernel has none or has it off.
int vmlab_landlock_version(void);
// A set of rules for these rights over files and TCP ports (0 before version 4); a descriptor.
int vmlab_landlock_rules(uint64_t files, uint64_t ports);
// Lets these rights go on below an open folder, or for an open file.
int vmlab_landlock_allow(int rules, int place, uint64_t files);
// Puts the calling thread, and those that it will start, under the rules.
int vmlab_landlock_enter(int rules);

// CPL 0 speed of /dev/kvm: see KVMProbe.swift.
struct vmlab_kvm_speed {
    int api_version;                 // 0 when it could not be asked
    uint64_t instructions;           // of the quickest stretch; 0 when not one was finished in time
    uint64_t nanoseconds;            // of processor time that they took
    const char *step;                // the call that failed, or null
};
// Runs `iterations` of a two-instruction loop in stretches of 5000 in a scratch VM, for at most `limit_microseconds`.
// `kvm` is an open /dev/kvm. Returns 0, or the errno of `step`.
int vmlab_kvm_speed(int kvm, uint32_t iterations, uint32_t limit_microseconds, struct vmlab_kvm_speed *speed);

// Memory that a guest's processors use at the same time. Swift's atomics own their storage, so they cannot stand on
// bytes of a mapping; each of these is exactly one access. `at` must be aligned to the value.
static inline uint16_t vmlab_load_acquire16(const void *at) {
    return __atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE);
}
static inline uint64_t vmlab_load64(const void *at) { return __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED); }
static inline void vmlab_store32(void *at, uint32_t value) {
    __atomic_store_n((uint32_t *)at, value, __ATOMIC_RELAXED);
}
static inline void vmlab_store_release16(void *at, uint16_t value) {
    __atomic_store_n((uint16_t *)at, value, __ATOMIC_RELEASE);
}
// Keeps a load after it from overtaking a store before it.
static inline void vmlab_full_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

#endif
