// Starts one monitor with the measured guest, and prints `name value` lines of what it saw:
//
//   driver {bytes|lines} MEGABYTES COMMAND…
//
// The command inherits a socket of COM1 as descriptor 4 and one of the debug port as 5. There a mark is a byte, or a line
// that begins with the byte's decimal number. MEGABYTES is the guest's RAM. Times count from just before exec.
// With DRIVER_ONLY_BOOTS in the environment it ends when process 1 runs; DRIVER_SHOWS_CONSOLE copies COM1 to stderr.
#define _GNU_SOURCE
#include "marks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { serial_descriptor = 4, marks_descriptor = 5, deadline_milliseconds = 60000 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static pid_t monitor;
static void fail(const char *what) {
    fprintf(stderr, "driver: %s\n", what);
    if (monitor > 0) kill(monitor, SIGKILL);
    exit(1);
}

// How often processors have left the guest for their monitor since the tracer's histogram was last cleared; the caller has
// set its trigger on kvm_userspace_exit.
static unsigned long long user_exits(void) {
    char line[256];
    unsigned long long hits = 0;
    FILE *file = fopen("/sys/kernel/tracing/events/kvm/kvm_userspace_exit/hist", "r");
    if (file == NULL) fail("KVM's exits are not traced: is tracefs mounted?");
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, " Hits: %llu", &hits) == 1) break;
    fclose(file);
    return hits;
}

// All exits of all processors of the monitor's VM, as KVM counts them.
static void print_exits(void) {
    char prefix[32], path[320];
    snprintf(prefix, sizeof prefix, "%d-", monitor);
    DIR *folder = opendir("/sys/kernel/debug/kvm");
    unsigned long long exits = 0;
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0) continue;
        snprintf(path, sizeof path, "/sys/kernel/debug/kvm/%s/exits", entry->d_name);
        FILE *file = fopen(path, "r");
        unsigned long long count = 0;
        if (file != NULL && fscanf(file, "%llu", &count) == 1) exits += count;
        if (file != NULL) fclose(file);
    }
    if (folder != NULL) closedir(folder);
    if (exits == 0) fail("KVM counts no exits: is debugfs mounted?");
    printf("exits %llu\nleaves %llu\n", exits, user_exits());
}

// Resident memory outside of the guest's RAM: all mappings but the writable ones of a quarter of its size and more, since
// a monitor may map RAM in pieces. `own` is what no other process could share: pages of no file, and of a file once written
// to. (Private_Dirty says otherwise of a program that lies in a tmpfs, whose pages are dirty and may be mapped only once.)
static void print_memory(unsigned long guest_kilobytes) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/smaps", monitor);
    FILE *file = fopen(path, "r");
    if (file == NULL) fail("no smaps");
    unsigned long start, end, value, resident = 0, own = 0, guest = 0;
    char access[8] = "";
    bool is_guest = false;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%lx-%lx %7s", &start, &end, access) == 3) {
            is_guest = (end - start) >> 10 >= guest_kilobytes / 4 && access[1] == 'w';
        } else if (sscanf(line, "Rss: %lu", &value) == 1) {
            *(is_guest ? &guest : &resident) += value;
        } else if (!is_guest && sscanf(line, "Anonymous: %lu", &value) == 1) {
            own += value;
        }
    }
    fclose(file);
    printf("memory %lu\nown %lu\nguest %lu\n", resident, own, guest);
}

// The next mark, while console bytes are counted and, during the input test, fed.
struct channel {
    int serial, marks;
    bool are_lines;
    bool at_line_start;
    int number;
    long heard, to_send;
};

static int mark_in(struct channel *channel, unsigned char byte) {
    if (!channel->are_lines) return byte;
    if (byte == '\n') {
        channel->at_line_start = true;
        channel->number = 0;
    } else if (channel->at_line_start && byte >= '0' && byte <= '9') {
        channel->number = channel->number * 10 + byte - '0';
    } else if (channel->at_line_start) {
        channel->at_line_start = false;
        return channel->number;
    }
    return -1;
}

// Waits until `done` of the mark or of the bytes heard, whichever is asked for.
static double wait_for(struct channel *channel, int mark, long bytes) {
    static char feed[4096];
    memset(feed, 'y', sizeof feed);
    double limit = now() + deadline_milliseconds / 1e3;
    while (now() < limit) {
        struct pollfd files[2] = {
            // A mark may overtake bytes of the console: it waits until somebody waits for it.
            {mark != 0 ? channel->marks : -1, POLLIN, 0}, {channel->serial, (short)(POLLIN | (channel->to_send > 0 ? POLLOUT : 0)), 0}};
        if (poll(files, 2, 1000) < 0) fail("poll");
        unsigned char buffer[4096];
        if (files[1].revents & POLLOUT) {
            size_t count = channel->to_send < (long)sizeof feed ? (size_t)channel->to_send : sizeof feed;
            ssize_t sent = send(channel->serial, feed, count, MSG_DONTWAIT);
            if (sent > 0) channel->to_send -= sent;
        }
        if (files[1].revents & POLLIN) {
            ssize_t count = recv(channel->serial, buffer, sizeof buffer, MSG_DONTWAIT);
            for (ssize_t index = 0; index < count; index++) channel->heard += buffer[index] == 'x';
            if (count > 0 && getenv("DRIVER_SHOWS_CONSOLE") != NULL) write(2, buffer, (size_t)count);
            if (bytes > 0 && channel->heard >= bytes) return now();
        }
        if (files[0].revents & POLLIN) {
            ssize_t count = recv(channel->marks, buffer, 1, MSG_DONTWAIT);
            for (; count > 0; count = recv(channel->marks, buffer, 1, MSG_DONTWAIT))
                if (mark_in(channel, buffer[0]) == mark) return now();
            if (count == 0) break;
        } else if (files[0].revents & POLLHUP) break;
    }
    char message[64];
    snprintf(message, sizeof message, "no mark %x, %ld bytes heard", (unsigned)mark, channel->heard);
    fail(message);
    return 0;
}

int main(int count, char **words) {
    if (count < 4) fail("driver {bytes|lines} MEGABYTES COMMAND…");
    int serial[2], marks[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, serial) != 0) fail("socketpair");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, marks) != 0) fail("socketpair");
    double begun = now();
    monitor = fork();
    if (monitor < 0) fail("fork");
    if (monitor == 0) {
        // Out of the way of each other first.
        int console = fcntl(serial[1], F_DUPFD_CLOEXEC, 10), log = fcntl(marks[1], F_DUPFD_CLOEXEC, 10);
        dup2(console, serial_descriptor);
        dup2(log, marks_descriptor);
        execv(words[3], words + 3);
        fprintf(stderr, "driver: %s: %s\n", words[3], strerror(errno));
        _exit(127);
    }
    close(serial[1]);
    close(marks[1]);
    struct channel channel = {
        .serial = serial[0], .marks = marks[0], .are_lines = strcmp(words[1], "lines") == 0, .at_line_start = true};
    printf("boot %.6f\n", wait_for(&channel, mark_init, 0) - begun);
    print_exits();
    if (getenv("DRIVER_ONLY_BOOTS") != NULL) {
        kill(monitor, SIGKILL);
        waitpid(monitor, NULL, 0);
        return 0;
    }
    wait_for(&channel, mark_terminal, 0);
    print_memory(strtoul(words[2], NULL, 10) << 10);
    char byte = go;
    channel.heard = 0;
    double sent = now();
    if (write(channel.serial, &byte, 1) != 1) fail("console");
    printf("output %.6f\n", wait_for(&channel, 0, output_bytes) - sent);
    wait_for(&channel, mark_input, 0);
    channel.to_send = input_bytes;
    sent = now();
    printf("input %.6f\n", wait_for(&channel, mark_input_done, 0) - sent);
    double sequential = wait_for(&channel, mark_sequential, 0);
    double random = wait_for(&channel, mark_random, 0);
    printf("sequential %.6f\nrandom %.6f\n", random - sequential, wait_for(&channel, mark_done, 0) - random);
    kill(monitor, SIGKILL);
    waitpid(monitor, NULL, 0);
}
