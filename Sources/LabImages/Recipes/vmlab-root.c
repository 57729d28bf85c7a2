// Runs a program as if it were root: dpkg can install a whole Debian with it, as any user and without any set-up of the host.
//
//   vmlab-root [TREE OWNERS REFUSED] PROGRAM [ARGUMENT...]
//
// The program has namespaces of its own (user, mount, process, IPC, host name), in which it is root, and the only user that exists.
// So the kernel would refuse to give its files other owners. A seccomp filter answers for it instead: becoming root once more, and
// making device nodes, succeed and do nothing; changes of a file's owner are sent to this process, which remembers them. At the
// end OWNERS has a line `UID GID PATH` for each file of TREE that is not root's, PATH as seen from TREE, in the order of the paths.
//
// Who wants to be another user is refused, since the files that he made would be root's. Some maintainers' scripts go on without
// what failed; so REFUSED has the name of the package that tried, a line each time, as soon as it happens.
//
// Everything the program has started ends with it, and it ends with this process, and this one with its parent. The exit status
// is the program's; 125 with a message when it could not be started.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILED = 125 };

static void fail(const char *what) {
    fprintf(stderr, "vmlab-root: %s: %s\n", what, strerror(errno));
    exit(FAILED);
}

// MARK: Namespaces

// The number in a file of /proc/sys; -1 when there is none.
static long setting(const char *path) {
    FILE *file = fopen(path, "r");
    long value = -1;
    if (file && fscanf(file, "%ld", &value) != 1) value = -1;
    if (file) fclose(file);
    return value;
}

// Says why this host lets no user be root of nothing, and what to do about it.
static void forbidden(const char *what) {
    int error = errno;
    const char *remedy = "in a container, start it with a seccomp profile that allows unshare(2) and seccomp(2), "
                         "such as `--security-opt seccomp=unconfined`";
    if (setting("/proc/sys/user/max_user_namespaces") == 0)
        remedy = "run `sudo sysctl -w user.max_user_namespaces=10000`";
    else if (setting("/proc/sys/kernel/unprivileged_userns_clone") == 0)
        remedy = "run `sudo sysctl -w kernel.unprivileged_userns_clone=1`";
    else if (setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1)
        remedy = "run `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`";
    fprintf(stderr, "vmlab-root: this host does not allow user namespaces (%s: %s)\nremedy: %s\n", what, strerror(error), remedy);
    exit(FAILED);
}

static void map(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, text, strlen(text)) < 0) forbidden(path);
    close(file);
}

static void enterNamespaces(void) {
    char text[64];
    uid_t user = geteuid();
    gid_t group = getegid();
    // The process namespace is that of the next child.
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)) forbidden("unshare");
    map("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "0 %u 1", user);
    map("/proc/self/uid_map", text);
    snprintf(text, sizeof text, "0 %u 1", group);
    map("/proc/self/gid_map", text);
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) forbidden("mount");
}

// MARK: The filter

// The calls that are recorded, as are others' refusals.
static const int recorded[] = { SYS_chown, SYS_fchown, SYS_lchown, SYS_fchownat };

// The calls that succeed and do nothing, with how many identities they are given, if each is root's or -1, which means the same.
static const struct {
    int call;
    unsigned identities;
} granted[] = {
    { SYS_setuid, 1 }, { SYS_setgid, 1 }, { SYS_setreuid, 2 }, { SYS_setregid, 2 }, { SYS_setresuid, 3 }, { SYS_setresgid, 3 },
    { SYS_setfsuid, 1 }, { SYS_setfsgid, 1 }, { SYS_setgroups, 0 }, { SYS_capset, 0 },
};
#define COUNT(array) (sizeof array / sizeof *array)

// Installs the filter in this process; the result is the descriptor on which the recorded calls arrive.
static int installFilter(void) {
    struct sock_filter code[128];
    unsigned short count = 0;
#define STATEMENT(what, value) code[count++] = (struct sock_filter)BPF_STMT(what, value)
#define LOAD(field) STATEMENT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(verdict) STATEMENT(BPF_RET | BPF_K, verdict)
// How many statements to skip when it is the value, and when not.
#define TEST(value, yes, no) code[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), yes, no)
    LOAD(arch);
    TEST(AUDIT_ARCH_X86_64, 1, 0);
    RETURN(SECCOMP_RET_ALLOW);
    LOAD(nr);
    for (size_t i = 0; i < COUNT(recorded); i++) {
        TEST(recorded[i], 0, 1);
        RETURN(SECCOMP_RET_USER_NOTIF);
    }
    for (size_t i = 0; i < COUNT(granted); i++) {
        TEST(granted[i].call, 0, (unsigned char)(4 * granted[i].identities + 1));
        for (unsigned j = 0; j < granted[i].identities; j++) {
            LOAD(args[j]);
            TEST(0, 2, 0);
            TEST(-1, 1, 0);
            RETURN(SECCOMP_RET_USER_NOTIF);
        }
        RETURN(SECCOMP_RET_ERRNO | 0);
    }
    // mknod(2) makes FIFOs too; only devices are beyond a user.
    for (int isAt = 0; isAt < 2; isAt++) {
        TEST(isAt ? SYS_mknodat : SYS_mknod, 0, 6);
        LOAD(args[isAt ? 2 : 1]);
        STATEMENT(BPF_ALU | BPF_AND | BPF_K, S_IFMT);
        TEST(S_IFCHR, 1, 0);
        TEST(S_IFBLK, 0, 1);
        RETURN(SECCOMP_RET_ERRNO | 0);
        RETURN(SECCOMP_RET_ALLOW);
    }
    RETURN(SECCOMP_RET_ALLOW);
    struct sock_fprog program = { count, code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("prctl");
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0) forbidden("seccomp");
    return listener;
}

// MARK: Handing over a descriptor

union Control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static void sendDescriptor(int socket, int descriptor) {
    char byte = 0;
    struct iovec content = { &byte, 1 };
    union Control control = { .header = { CMSG_LEN(sizeof descriptor), SOL_SOCKET, SCM_RIGHTS } };
    struct msghdr message = {
        .msg_iov = &content, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control,
    };
    memcpy(CMSG_DATA(&control.header), &descriptor, sizeof descriptor);
    if (sendmsg(socket, &message, 0) < 0) fail("sendmsg");
}

// -1 when the other side ended without sending one.
static int receiveDescriptor(int socket) {
    char byte;
    int descriptor;
    struct iovec content = { &byte, 1 };
    union Control control;
    struct msghdr message = {
        .msg_iov = &content, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control,
    };
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1 || message.msg_controllen < CMSG_LEN(sizeof descriptor)) return -1;
    memcpy(&descriptor, CMSG_DATA(&control.header), sizeof descriptor);
    return descriptor;
}

// MARK: Owners

// A file that was given to somebody else. Its descriptor keeps the inode from being freed, so that no other file can get its
// number; and the kernel knows at any time what the file is called by now.
struct Owned {
    int file;
    dev_t device;
    ino_t inode;
    uid_t user;
    gid_t group;
};
static struct Owned *owned;
static size_t ownedCount, ownedRoom;

// Takes over `file`, which is open as a path. An owner of -1 means that it stays.
static int record(int file, uid_t user, gid_t group) {
    const uid_t same = (uid_t)-1;
    struct stat status;
    if (fstat(file, &status)) {
        int error = errno;
        close(file);
        return error;
    }
    for (struct Owned *it = owned; it < owned + ownedCount; it++) {
        if (it->inode != status.st_ino || it->device != status.st_dev) continue;
        if (user != same) it->user = user;
        if (group != same) it->group = group;
        close(file);
        return 0;
    }
    if (user == same) user = 0;
    if (group == same) group = 0;
    if (user == 0 && group == 0) {
        close(file);
        return 0;
    }
    if (ownedCount == ownedRoom) {
        ownedRoom = ownedRoom ? 2 * ownedRoom : 256;
        owned = realloc(owned, ownedRoom * sizeof *owned);
        if (!owned) fail("memory");
    }
    owned[ownedCount++] = (struct Owned){ file, status.st_dev, status.st_ino, user, group };
    return 0;
}

// A path in the memory of a process. It may end just before a page that is not there, so it is read page by page.
static bool readPath(pid_t process, uint64_t address, char path[PATH_MAX]) {
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/mem", process);
    int memory = open(name, O_RDONLY | O_CLOEXEC);
    if (memory < 0) return false;
    bool complete = false;
    for (size_t have = 0; have < PATH_MAX && !complete;) {
        size_t step = 4096 - (address + have) % 4096;
        if (step > PATH_MAX - have) step = PATH_MAX - have;
        ssize_t got = pread(memory, path + have, step, (off_t)(address + have));
        if (got <= 0) break;
        complete = memchr(path + have, 0, (size_t)got) != NULL;
        have += (size_t)got;
    }
    close(memory);
    return complete;
}

// Where a link of /proc leads, which is a path as this process sees it.
static bool follow(char path[PATH_MAX], const char *format, int process, int number) {
    char name[64];
    snprintf(name, sizeof name, format, process, number);
    ssize_t count = readlink(name, path, PATH_MAX - 1);
    if (count >= 0) path[count] = 0;
    return count >= 0;
}

// Opens what a process means by a path: below its own root, which chroot(2) may have changed, links included.
static int openPath(pid_t process, int folder, const char *path, bool followsLinks) {
    char name[64], root[PATH_MAX], start[PATH_MAX], whole[2 * PATH_MAX + 1];
    const char *from = "";
    if (path[0] != '/') {
        const char *format = folder == AT_FDCWD ? "/proc/%d/cwd" : "/proc/%d/fd/%d";
        if (!follow(root, "/proc/%d/root", process, 0) || !follow(start, format, process, folder)) return -1;
        size_t above = strcmp(root, "/") == 0 ? 0 : strlen(root);
        from = strncmp(start, root, above) == 0 ? start + above : start;
    }
    snprintf(whole, sizeof whole, "%s/%s", from, path);
    snprintf(name, sizeof name, "/proc/%d/root", process);
    int base = open(name, O_PATH | O_CLOEXEC);
    if (base < 0) return -1;
    struct open_how how = { .flags = O_PATH | O_CLOEXEC | (followsLinks ? 0 : O_NOFOLLOW), .resolve = RESOLVE_IN_ROOT };
    int file = (int)syscall(SYS_openat2, base, whole, &how, sizeof how);
    int error = errno;
    close(base);
    errno = error;
    return file;
}

static int openDescriptor(pid_t process, int descriptor) {
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/fd/%d", process, descriptor);
    return open(name, O_PATH | O_CLOEXEC);
}

static FILE *refused;

// Notes for which package a process works; dpkg says so to maintainers' scripts.
static void refuse(pid_t process) {
    static const char name[] = "DPKG_MAINTSCRIPT_PACKAGE=";
    char path[64], *word = NULL;
    size_t room = 0;
    snprintf(path, sizeof path, "/proc/%d/environ", process);
    FILE *environment = fopen(path, "re");
    if (!environment) return;
    while (refused && getdelim(&word, &room, 0, environment) > 0) {
        if (strncmp(word, name, strlen(name)) == 0) fprintf(refused, "%s\n", word + strlen(name));
    }
    if (refused) fflush(refused);
    free(word);
    fclose(environment);
}

// Answers one call: its error number, or 0.
static int answer(int listener, const struct seccomp_notif *call) {
    char path[PATH_MAX];
    const __u64 *words = call->data.args;
    pid_t process = (pid_t)call->pid;
    bool isOwner = false;
    for (size_t i = 0; i < COUNT(recorded); i++) isOwner = isOwner || call->data.nr == recorded[i];
    if (!isOwner) {
        refuse(process);
        return EPERM;
    }
    bool isAt = call->data.nr == SYS_fchownat, isDescriptor = call->data.nr == SYS_fchown;
    uid_t user = (uid_t)words[isAt ? 2 : 1];
    gid_t group = (gid_t)words[isAt ? 3 : 2];
    if (!isDescriptor && !readPath(process, words[isAt ? 1 : 0], path)) return EFAULT;
    int file;
    if (isDescriptor || (isAt && !path[0] && words[4] & AT_EMPTY_PATH)) {
        file = openDescriptor(process, (int)words[0]);
    } else if (!path[0]) {
        return ENOENT;
    } else {
        bool followsLinks = isAt ? !(words[4] & AT_SYMLINK_NOFOLLOW) : call->data.nr == SYS_chown;
        file = openPath(process, isAt ? (int)words[0] : AT_FDCWD, path, followsLinks);
    }
    if (file < 0 && (errno == EMFILE || errno == ENFILE)) fail("too many files that are not root's");
    if (file < 0) return errno;
    // Nothing of this holds if the process was killed meanwhile and its number belongs to another one.
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id)) {
        close(file);
        return ESRCH;
    }
    return record(file, user, group);
}

// Answers until no process with the filter is left.
static void serve(int listener) {
    for (;;) {
        struct pollfd wait = { .fd = listener, .events = POLLIN };
        if (poll(&wait, 1, -1) < 0) continue;
        if (!(wait.revents & POLLIN)) return;
        struct seccomp_notif call = { 0 };
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call)) continue;
        struct seccomp_notif_resp response = { .id = call.id, .error = -answer(listener, &call) };
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
    }
}

// MARK: The result

struct Line {
    char *path;
    uid_t user;
    gid_t group;
    size_t age;
};

static int byPathAndAge(const void *a, const void *b) {
    const struct Line *one = a, *other = b;
    int order = strcmp(one->path, other->path);
    return order ? order : (one->age > other->age) - (one->age < other->age);
}

// Writes the owners. A file that is gone leaves its owner to the one that has its name now and that nobody gave an owner: programs
// that replace a file, as those that edit /etc/shadow do, give the new one the owner that they see, and all they see here is root.
static void writeOwners(const char *tree, const char *path) {
    static const char gone[] = " (deleted)";
    char root[PATH_MAX], name[PATH_MAX];
    if (!realpath(tree, root)) fail(tree);
    FILE *file = fopen(path, "w");
    struct Line *lines = calloc(ownedCount + 1, sizeof *lines);
    if (!file || !lines) fail(path);
    size_t count = 0;
    for (size_t i = 0; i < ownedCount; i++) {
        if (!follow(name, "/proc/%d/fd/%d", getpid(), owned[i].file)) continue;
        size_t length = strlen(name), above = strlen(root);
        bool isGone = length > strlen(gone) && strcmp(name + length - strlen(gone), gone) == 0;
        if (isGone) name[length - strlen(gone)] = 0;
        if (strncmp(name, root, above) || name[above] != '/') continue;
        struct stat status;
        if (lstat(name, &status) || (isGone && !S_ISREG(status.st_mode))) continue;
        // Newer ones win, and those that are there over those that are gone.
        lines[count++] = (struct Line){ strdup(name + above), owned[i].user, owned[i].group, isGone ? i : ownedCount + i };
    }
    qsort(lines, count, sizeof *lines, byPathAndAge);
    for (size_t i = 0; i < count; i++) {
        bool isLast = i + 1 == count || strcmp(lines[i].path, lines[i + 1].path);
        if (isLast && (lines[i].user || lines[i].group)) {
            fprintf(file, "%u %u %s\n", lines[i].user, lines[i].group, lines[i].path);
        }
    }
    if (fclose(file)) fail(path);
}

int main(int count, char **words) {
    const char *tree = NULL, *owners = NULL;
    char **program = words + 1;
    if (count > 4 && words[1][0] == '/') {
        tree = words[1];
        owners = words[2];
        refused = fopen(words[3], "we");
        if (!refused) fail(words[3]);
        program = words + 4;
    }
    if (!*program) {
        fprintf(stderr, "usage: vmlab-root [TREE OWNERS REFUSED] PROGRAM [ARGUMENT...]\n");
        return FAILED;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) fail("socketpair");
    enterNamespaces();
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        // Process 1 of the namespace: all others end with it.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        int listener = installFilter();
        sendDescriptor(ends[1], listener);
        close(listener);
        execvp(*program, program);
        fail(*program);
    }
    close(ends[1]);
    // For the owned files' descriptors; the child keeps its own limit, since some programs close all that they may have.
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    int listener = receiveDescriptor(ends[0]);
    if (listener >= 0) serve(listener);
    int status;
    while (waitpid(child, &status, 0) < 0) {}
    if (owners) writeOwners(tree, owners);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
