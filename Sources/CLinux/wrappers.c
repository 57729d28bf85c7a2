#define _GNU_SOURCE
#include "CLinux.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

int vmlab_punch_hole(int file, int64_t length) {
    return fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, length);
}

int vmlab_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int vmlab_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC); }

void vmlab_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

int vmlab_cpu_count(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}
