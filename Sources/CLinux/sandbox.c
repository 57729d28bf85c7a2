#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

// Linux 5.13; the C library has no wrappers, and older headers not even the numbers.
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

int vmlab_forbid_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

int vmlab_filter_calls(const struct sock_filter *program, size_t count) {
    struct sock_fprog filter = {.len = (unsigned short)count, .filter = (struct sock_filter *)program};
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
    if (result > 0) {
        // The thread that has a filter of its own, which cannot be replaced.
        errno = EBUSY;
        return -1;
    }
    return (int)result;
}

static char *append_text(char *end, const char *text) {
    size_t length = strlen(text);
    memcpy(end, text, length);
    return end + length;
}

static char *append_number(char *end, unsigned long long value, unsigned base) {
    char digits[24];
    int count = 0;
    do digits[count++] = "0123456789abcdef"[value % base];
    while ((value /= base) != 0);
    while (count > 0) *end++ = digits[--count];
    return end;
}

static void explain(int number, siginfo_t *information, void *context) {
    (void)number;
    const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    char text[200];
    char *end = append_text(text, "sandbox: system call ");
    end = append_number(end, (unsigned)information->si_syscall, 10);
    end = append_text(end, " (arguments 0x");
    end = append_number(end, (unsigned long long)registers[REG_RDI], 16);
    end = append_text(end, ", 0x");
    end = append_number(end, (unsigned long long)registers[REG_RSI], 16);
    end = append_text(end, ", 0x");
    end = append_number(end, (unsigned long long)registers[REG_RDX], 16);
    end = append_text(end, ") is not allowed here: this process ends now\n");
    if (write(STDERR_FILENO, text, (size_t)(end - text)) < 0) {}
    _exit(128 + SIGSYS);
}

int vmlab_explain_trapped_calls(void) {
    struct sigaction action = {.sa_sigaction = explain, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask);
    return sigaction(SIGSYS, &action, NULL);
}

int vmlab_landlock_version(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);
    return version > 0 ? (int)version : 0;
}

int vmlab_landlock_rules(uint64_t files, uint64_t ports) {
    // The kernel's struct landlock_ruleset_attr of version 4; before, only the first member existed.
    struct {
        uint64_t files, ports;
    } rights = {files, ports};
    size_t size = ports != 0 ? sizeof rights : sizeof rights.files;
    return (int)syscall(SYS_landlock_create_ruleset, &rights, size, 0u);
}

int vmlab_landlock_allow(int rules, int place, uint64_t files) {
    struct {
        uint64_t files;
        int32_t place;
    } __attribute__((packed)) rule = {files, place};
    return (int)syscall(SYS_landlock_add_rule, rules, 1, &rule, 0u);
}

int vmlab_landlock_enter(int rules) { return (int)syscall(SYS_landlock_restrict_self, rules, 0u); }
