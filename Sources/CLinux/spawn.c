#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { child_stack_size = 64 * 1024 };

// Nothing that a machine's process has to do with the rest of the host goes through these: its sockets have paths or are
// inherited.
enum { namespaces = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS };

// What parent and child share while the child borrows the parent's memory.
struct launch {
    const struct vmlab_spawn *request;
    pid_t parent;
    uid_t user;
    gid_t group;
    int namespaces;                  // those of the attempt that is made
    const char *step;
    int error;
};

static int failed(struct launch *launch, const char *step) {
    launch->error = errno;
    launch->step = step;
    _exit(127);
}

static void close_range_of(unsigned first, unsigned last) {
    if (first > last || syscall(SYS_close_range, first, last, 0) == 0) return;
    // Linux before 5.9.
    long limit = sysconf(_SC_OPEN_MAX);
    for (unsigned descriptor = first; descriptor <= last && descriptor < limit; descriptor++) close((int)descriptor);
}

// Leaves the child with the descriptors of the request and no others. Done first of all: until then the parent's locks, sockets
// and ends of pipes are held by two, and whoever waits for them to be let go waits for the child as well.
static const char *take_descriptors(const struct vmlab_spawn *request) {
    // Every source moves out of the way of every target, then each takes its number.
    int above = 2;
    for (size_t index = 0; index < request->descriptor_count; index++)
        if (request->descriptors[index].target > above) above = request->descriptors[index].target;
    int moved[request->descriptor_count + 1];
    for (size_t index = 0; index < request->descriptor_count; index++) {
        moved[index] = fcntl(request->descriptors[index].source, F_DUPFD_CLOEXEC, above + 1);
        if (moved[index] < 0) return "fcntl(F_DUPFD)";
    }
    for (size_t index = 0; index < request->descriptor_count; index++)
        if (dup2(moved[index], request->descriptors[index].target) < 0) return "dup2";
    close_range_of((unsigned)above + 1, ~0u);
    for (int number = 0; number <= above; number++) {
        bool is_target = false;
        for (size_t index = 0; index < request->descriptor_count; index++)
            is_target |= request->descriptors[index].target == number;
        if (!is_target) close(number);
    }
    return NULL;
}

static int write_text(const char *path, const char *text, size_t length) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return -1;
    ssize_t written = write(file, text, length);
    close(file);
    return written == (ssize_t)length ? 0 : -1;
}

// One line of uid_map or gid_map: `id` is itself.
static int map_itself(const char *path, unsigned id) {
    char digits[12], line[40];
    int count = 0;
    size_t length = 0;
    do digits[count++] = (char)('0' + id % 10);
    while ((id /= 10) != 0);
    for (int copy = 0; copy < 2; copy++) {
        for (int digit = count; digit > 0; digit--) line[length++] = digits[digit - 1];
        line[length++] = ' ';
    }
    line[length++] = '1';
    return write_text(path, line, length);
}

// In a new user namespace a process has no user until it is mapped. Older kernels have no setgroups file.
static int keep_user(const struct launch *launch) {
    write_text("/proc/self/setgroups", "deny", 4);
    if (map_itself("/proc/self/uid_map", launch->user) != 0) return -1;
    return map_itself("/proc/self/gid_map", launch->group);
}

// Whatever user it runs as: without the bounding set, root's programs get no capabilities back when they begin.
static int drop_privileges(void) {
    for (int capability = 0; capability < 64; capability++) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capset, &header, none) != 0) return -1;
    struct rlimit no_dump = {0};
    if (setrlimit(RLIMIT_CORE, &no_dump) != 0) return -1;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int child(void *argument) {
    struct launch *launch = argument;
    const struct vmlab_spawn *request = launch->request;

    const char *problem = take_descriptors(request);
    if (problem) return failed(launch, problem);
    // Here and not by clone, which would make them while the child still has all of the parent's descriptors.
    if (launch->namespaces != 0 && unshare(launch->namespaces) != 0) return failed(launch, "unshare");
    if ((launch->namespaces & CLONE_NEWUSER) != 0 && keep_user(launch) != 0) return failed(launch, "uid_map");
    // Before the next, which a change of credentials may undo.
    if (request->unprivileged && drop_privileges() != 0) return failed(launch, "capset");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return failed(launch, "prctl(PR_SET_PDEATHSIG)");
    // The parent may have died before prctl: then nobody would ever send that signal.
    if (getppid() != launch->parent) _exit(127);
    if (setsid() < 0) return failed(launch, "setsid");
    // Outlives exec. The child is the same without, only larger.
    if (request->small_pages) prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);

    // By the system call itself: the C library refuses the two signals it keeps to itself, which may be ignored too.
    // All zero is the kernel's `struct sigaction` of SIG_DFL; 8 is the size of its signal set.
    const char standard[64] = {0};
    for (int number = 1; number < NSIG; number++) syscall(SYS_rt_sigaction, number, standard, NULL, 8);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    if (request->working_directory && chdir(request->working_directory) != 0) return failed(launch, "chdir");

    execve(request->executable, request->arguments, request->environment);
    return failed(launch, "execve");
}

// Starts the child in `wanted` namespaces; 0, or the errno with `*step`.
static int start(
    const struct vmlab_spawn *request, int wanted, pid_t *pid, int *pidfd, const char **step) {
    struct launch launch = {
        .request = request, .parent = getpid(), .user = geteuid(), .group = getegid(), .namespaces = wanted};
    *step = NULL;
    void *stack = mmap(NULL, child_stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        *step = "mmap";
        return errno;
    }
    // It belongs to the memory, which the child borrows until it runs its program: what it sets there would stay with us.
    int small_pages = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
    // No handler of ours may run in the child while it borrows this memory.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int descriptor = -1;
    pid_t started = clone(
        child, (char *)stack + child_stack_size, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &launch,
        &descriptor);
    int error = started < 0 ? errno : 0;
    if (request->small_pages) prctl(PR_SET_THP_DISABLE, small_pages > 0, 0, 0, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    munmap(stack, child_stack_size);

    if (started < 0) {
        *step = "clone";
        return error;
    }
    if (launch.error != 0) {
        while (waitpid(started, NULL, 0) < 0 && errno == EINTR) {}
        close(descriptor);
        *step = launch.step;
        return launch.error;
    }
    *pid = started;
    *pidfd = descriptor;
    return 0;
}

int vmlab_spawn(
    const struct vmlab_spawn *request, pid_t *pid, int *pidfd, bool *confined, const char **step) {
    // Root makes namespaces as it is, others within one of users. Where the host allows neither it is done without.
    const int attempts[] = {namespaces, namespaces | CLONE_NEWUSER};
    for (int attempt = 0; request->unprivileged && attempt < 2; attempt++) {
        int error = start(request, attempts[attempt], pid, pidfd, step);
        *confined = error == 0;
        // What the program itself fails with, it would fail with again.
        if (error == 0 || (strcmp(*step, "unshare") != 0 && strcmp(*step, "uid_map") != 0)) return error;
    }
    *confined = false;
    return start(request, 0, pid, pidfd, step);
}

int vmlab_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int vmlab_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int vmlab_pidfd_reap(int pidfd, int *code, int *status) {
    siginfo_t information = {0};
    int result;
    do result = waitid((idtype_t)P_PIDFD, (id_t)pidfd, &information, WEXITED | WNOHANG);
    while (result < 0 && errno == EINTR);
    if (result < 0) return -1;
    if (information.si_pid == 0) return 0;
    *code = information.si_code;
    *status = information.si_status;
    return 1;
}
