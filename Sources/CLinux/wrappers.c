#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/xattr.h>
#include <unistd.h>

int vmlab_punch_hole(int file, int64_t offset, int64_t length) {
    return fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

int vmlab_open_beneath(int folder, const char *path, int flags, mode_t mode) {
    struct open_how how = {
        .flags = (unsigned)flags | O_CLOEXEC,
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

int vmlab_set_attribute(int file, const char *name, const void *value, size_t size) {
    return fsetxattr(file, name, value, size, 0);
}

ssize_t vmlab_list_attributes(int file, char *names, size_t size) { return flistxattr(file, names, size); }

ssize_t vmlab_attribute(int file, const char *name, void *value, size_t size) {
    return fgetxattr(file, name, value, size);
}

int vmlab_rename(int folder, const char *name, int new_folder, const char *new_name, bool replacing) {
    if (replacing) return renameat(folder, name, new_folder, new_name);
    int result = renameat2(folder, name, new_folder, new_name, RENAME_NOREPLACE);
    if (result == 0 || errno != EINVAL) return result;
    // The file system knows no flags.
    if (faccessat(new_folder, new_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    return renameat(folder, name, new_folder, new_name);
}

int vmlab_attach_tap(int tun, const char *name) {
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    if (strlen(name) >= sizeof request.ifr_name) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(request.ifr_name, name);
    return ioctl(tun, TUNSETIFF, &request);
}

int vmlab_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

int vmlab_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int vmlab_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC); }

int vmlab_thread_id(void) { return gettid(); }

void vmlab_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

int vmlab_cpu_count(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

static volatile sig_atomic_t signal_descriptor = -1;

static void tell(int number) {
    int error = errno;
    unsigned char byte = (unsigned char)number;
    // A full pipe already holds signals enough.
    if (write(signal_descriptor, &byte, 1) < 0) {}
    errno = error;
}

int vmlab_watch_signal(int number, int descriptor) {
    struct sigaction before;
    if (sigaction(number, NULL, &before) != 0) return -1;
    if (before.sa_handler == SIG_IGN) return 0;
    signal_descriptor = descriptor;
    struct sigaction action = {.sa_handler = tell, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    return sigaction(number, &action, NULL);
}

int vmlab_unwatch_signal(int number) {
    struct sigaction before;
    if (sigaction(number, NULL, &before) != 0) return -1;
    if (before.sa_handler != tell) return 0;
    struct sigaction standard = {.sa_handler = SIG_DFL};
    return sigaction(number, &standard, NULL);
}

int vmlab_send_descriptor(int socket, char byte, int descriptor) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(int));
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.space)};
    return (int)sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}
