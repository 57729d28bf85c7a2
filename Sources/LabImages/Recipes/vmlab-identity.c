// Makes a running guest, a clone, one of its own: its names, its clock, its random numbers, its network cards.
//
//   vmlab-identity WORD...
//
//   host=NAME[,FORMER]           host name; where FORMER stands behind a loopback address in /etc/hosts, NAME will
//   id=HEX                       machine id, where the guest has one
//   time=SECONDS.NANOSECONDS     the clock, UTC, nine digits behind the point
//   seed=HEX                     random bytes of the host's
//   card=FORMER,MAC,ADDRESS/BITS the network card with the address FORMER gets these; nothing of what it had stays
//   gateway=ADDRESS              the way out
//
// It is C because it is the guest's, not vmlab's, and freestanding because in emulation each instruction that runs for the
// first time costs dearly: a process of its own costs a fresh clone a hundred times what the work below does. So the first
// one, which runs before the guest is saved, stays, and waits for the words of the next (a line) in the FIFO
// /run/vmlab/identity; it answers a line, `ok` or what went wrong, in /run/vmlab/identity.answer. Its process id is in
// /run/vmlab/identity.pid.

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/random.h>
#include <linux/route.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

typedef uint8_t byte;

// What the compiler may call.
void *memset(void *to, int value, size_t count) {
    for (byte *bytes = to; count; count--) *bytes++ = (byte)value;
    return to;
}
void *memcpy(void *to, const void *from, size_t count) {
    byte *target = to;
    for (const byte *source = from; count; count--) *target++ = *source++;
    return to;
}

static long call(long number, long a, long b, long c, long d) {
    register long r10 __asm__("r10") = d, result;
    __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}
static long openFile(const char *path, int flags) { return call(SYS_open, (long)path, flags, 0600, 0); }
static long readSome(long file, void *bytes, size_t count) { return call(SYS_read, file, (long)bytes, (long)count, 0); }
static long put(long file, const void *bytes, size_t count) { return call(SYS_write, file, (long)bytes, (long)count, 0); }
static void closeFile(long file) { call(SYS_close, file, 0, 0, 0); }
static long ioctl(long file, long request, const void *argument) { return call(SYS_ioctl, file, request, (long)argument, 0); }

static size_t length(const char *text) {
    size_t count = 0;
    while (text[count]) count++;
    return count;
}
static bool equal(const void *a, const void *b, size_t count) {
    const byte *x = a, *y = b;
    for (; count; count--) {
        if (*x++ != *y++) return false;
    }
    return true;
}

// The value of the word `NAME=value`, if this is one.
static const char *value(const char *word, const char *name) {
    size_t count = length(name);
    for (size_t i = 0; i < count; i++) {
        if (word[i] != name[i]) return NULL;
    }
    return word[count] == '=' ? word + count + 1 : NULL;
}

// How much of a text comes before its next comma; steps over both.
static size_t field(const char **text, const char **start) {
    *start = *text;
    while (**text && **text != ',') ++*text;
    size_t count = (size_t)(*text - *start);
    if (**text) ++*text;
    return count;
}

static uint64_t decimal(const char **text) {
    uint64_t number = 0;
    for (; **text >= '0' && **text <= '9'; ++*text) number = number * 10 + (uint64_t)(**text - '0');
    return number;
}

static int digit(char letter) {
    if (letter >= '0' && letter <= '9') return letter - '0';
    if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
    return -1;
}

// Bytes in hexadecimal, with or without colons between them; how many of them there were.
static size_t bytes(const char *text, byte *into, size_t most) {
    size_t count = 0;
    while (count < most) {
        if (*text == ':') text++;
        int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);
        if (low < 0) break;
        into[count++] = (byte)(high << 4 | low);
        text += 2;
    }
    return count;
}

// Four numbers and dots, as the network has them.
static uint32_t address(const char **text) {
    uint32_t result = 0;
    for (int i = 0; i < 4; i++) {
        result = result << 8 | (uint32_t)(decimal(text) & 0xff);
        if (i < 3 && **text == '.') ++*text;
    }
    return htonl(result);
}

// Replaces the content of a file that is there and not empty. A symbolic link leads to a file of another owner.
static void rewrite(const char *path, const char *content, size_t count) {
    long file = openFile(path, O_RDWR | O_NOFOLLOW);
    if (file < 0) return;
    if (call(SYS_lseek, file, 0, SEEK_END, 0) > 0 && call(SYS_ftruncate, file, 0, 0, 0) == 0) {
        call(SYS_lseek, file, 0, SEEK_SET, 0);
        put(file, content, count);
        put(file, "\n", 1);
    }
    closeFile(file);
}

// In lines of loopback addresses that end in the name `former`, `name` takes its place.
static void renameInHosts(const char *former, size_t formerLength, const char *name, size_t nameLength) {
    static char before[1 << 18], after[2 << 18];
    long file = openFile("/etc/hosts", O_RDWR);
    if (file < 0) return;
    long count = readSome(file, before, sizeof before);
    if (count > 0 && (size_t)count < sizeof before) {
        char *to = after;
        bool changed = false;
        for (char *line = before, *limit = before + count; line < limit;) {
            char *end = line;
            while (end < limit && *end != '\n') end++;
            char *name0 = end - formerLength;
            bool matches = name0 > line + 3 && (name0[-1] == ' ' || name0[-1] == '\t') && equal(line, "127", 3)
                && equal(name0, former, formerLength) && (size_t)(to - after) < sizeof after / 2;
            memcpy(to, line, (size_t)((matches ? name0 : end) - line));
            to += (matches ? name0 : end) - line;
            if (matches) {
                memcpy(to, name, nameLength);
                to += nameLength;
                changed = true;
            }
            if (end < limit) *to++ = *end++;
            line = end;
        }
        if (changed && call(SYS_pwrite64, file, (long)after, to - after, 0) == to - after && to - after < count) {
            call(SYS_ftruncate, file, to - after, 0, 0);
        }
    }
    closeFile(file);
}

static const char *setHost(const char *words) {
    const char *name, *former;
    size_t nameLength = field(&words, &name), formerLength = field(&words, &former);
    if (nameLength == 0 || nameLength > 64) return "no host name";
    if (call(SYS_sethostname, (long)name, (long)nameLength, 0, 0)) return "the host name could not be set";
    rewrite("/etc/hostname", name, nameLength);
    if (formerLength && formerLength <= 64) renameInHosts(former, formerLength, name, nameLength);
    return NULL;
}

// journald goes on with the folder that has the former id; by this link its readers, who look for the new one, find it.
static void linkJournal(const char *folder, const char *former, const char *id) {
    char there[64], link[64];
    size_t count = length(folder);
    if (length(id) != 32) return;
    memcpy(there, folder, count);
    memcpy(there + count, former, 33);
    memcpy(link, folder, count);
    memcpy(link + count, id, 33);
    if (call(SYS_access, (long)there, 0, 0, 0) == 0) call(SYS_symlink, (long)former, (long)link, 0, 0);
}

static const char *setMachineID(const char *id) {
    char former[33] = { 0 };
    long file = openFile("/etc/machine-id", O_RDONLY);
    if (file >= 0) {
        if (readSome(file, former, 32) == 32) {
            linkJournal("/var/log/journal/", former, id);
            linkJournal("/run/log/journal/", former, id);
        }
        closeFile(file);
    }
    rewrite("/etc/machine-id", id, length(id));
    rewrite("/var/lib/dbus/machine-id", id, length(id));
    return NULL;
}

static const char *setClock(const char *text) {
    int64_t time[2];
    time[0] = (int64_t)decimal(&text);
    if (*text == '.') text++;
    time[1] = (int64_t)decimal(&text);
    return call(SYS_clock_settime, 0, (long)time, 0, 0) ? "the clock could not be set" : NULL;
}

// Gives the kernel random bytes of the host's, counted as such, and has it draw its generator's key from them now; by itself
// it may take a minute. A generator that has had no randomness at all before has its first key from these.
static const char *seed(const char *hex) {
    struct {
        int bits, size;
        byte bytes[256];
    } entropy;
    entropy.size = (int)bytes(hex, entropy.bytes, sizeof entropy.bytes);
    entropy.bits = entropy.size * 8;
    long file = openFile("/dev/urandom", O_RDWR | O_CLOEXEC);
    if (file < 0) return "there is no /dev/urandom";
    bool done = ioctl(file, RNDADDENTROPY, &entropy) == 0 && ioctl(file, RNDRESEEDCRNG, NULL) == 0;
    memset(&entropy, 0, sizeof entropy);
    closeFile(file);
    return done ? NULL : "its random numbers could not be renewed";
}

// One message to the kernel's network configuration, and its answers.
static struct {
    struct nlmsghdr header;
    byte body[512];
} request;

static void begin(int type, int flags, const void *fixed, size_t size) {
    memset(&request, 0, sizeof request);
    request.header.nlmsg_type = (uint16_t)type;
    request.header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    request.header.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
    memcpy(request.body, fixed, size);
}

static void attach(int type, const void *content, size_t size) {
    struct rtattr *attribute = (struct rtattr *)((byte *)&request + NLMSG_ALIGN(request.header.nlmsg_len));
    attribute->rta_type = (uint16_t)type;
    attribute->rta_len = (uint16_t)RTA_LENGTH(size);
    memcpy(RTA_DATA(attribute), content, size);
    request.header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(request.header.nlmsg_len) + RTA_ALIGN(attribute->rta_len));
}

static byte answers[16384] __attribute__((aligned(8)));

static long ask(long socket) {
    if (put(socket, &request, request.header.nlmsg_len) < 0) return -1;
    return readSome(socket, answers, sizeof answers);
}

static bool perform(long socket) {
    request.header.nlmsg_flags |= NLM_F_ACK;
    long count = ask(socket);
    struct nlmsghdr *answer = (struct nlmsghdr *)answers;
    return count >= (long)NLMSG_LENGTH(sizeof(int)) && answer->nlmsg_type == NLMSG_ERROR
        && ((struct nlmsgerr *)NLMSG_DATA(answer))->error == 0;
}

// What the kernel's answers are asked for: calls `found` with each message's fixed part and the attribute of a type.
static bool findLink(long socket, const byte mac[6], int *index) {
    struct ifinfomsg any = { 0 };
    begin(RTM_GETLINK, NLM_F_DUMP, &any, sizeof any);
    bool found = false;
    for (long count = ask(socket); count > 0; count = readSome(socket, answers, sizeof answers)) {
        struct nlmsghdr *message = (struct nlmsghdr *)answers;
        for (; NLMSG_OK(message, (size_t)count); message = NLMSG_NEXT(message, count)) {
            if (message->nlmsg_type != RTM_NEWLINK) return found;
            struct ifinfomsg *link = NLMSG_DATA(message);
            struct rtattr *attribute = IFLA_RTA(link);
            size_t rest = IFLA_PAYLOAD(message);
            for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest)) {
                if (attribute->rta_type != IFLA_ADDRESS || RTA_PAYLOAD(attribute) != 6) continue;
                if (found || !equal(RTA_DATA(attribute), mac, 6)) continue;
                *index = link->ifi_index;
                found = true;
            }
        }
    }
    return found;
}

// One IPv4 address that a card has, as the message that takes it away.
static bool findAddress(long socket, int index) {
    static struct {
        struct ifaddrmsg fixed;
        byte local[4];
    } first;
    struct ifaddrmsg any = { .ifa_family = 2 };
    begin(RTM_GETADDR, NLM_F_DUMP, &any, sizeof any);
    bool found = false, ended = false;
    for (long count = ask(socket); count > 0 && !ended;) {
        struct nlmsghdr *message = (struct nlmsghdr *)answers;
        for (; NLMSG_OK(message, (size_t)count); message = NLMSG_NEXT(message, count)) {
            if (message->nlmsg_type != RTM_NEWADDR) {
                ended = true;
                break;
            }
            struct ifaddrmsg *its = NLMSG_DATA(message);
            struct rtattr *attribute = IFA_RTA(its);
            size_t rest = IFA_PAYLOAD(message);
            for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest)) {
                if (found || (int)its->ifa_index != index || attribute->rta_type != IFA_LOCAL) continue;
                first.fixed = *its;
                memcpy(first.local, RTA_DATA(attribute), 4);
                found = true;
            }
        }
        if (!ended) count = readSome(socket, answers, sizeof answers);
    }
    begin(RTM_DELADDR, 0, &first.fixed, sizeof first.fixed);
    attach(IFA_LOCAL, first.local, 4);
    return found;
}

// Down first, so that nothing keeps an address or a neighbour of the original's.
static const char *setCard(const char *words) {
    const char *former, *mac, *rest;
    byte old[6], new[6];
    int index = 0;
    field(&words, &former);
    field(&words, &mac);
    rest = words;
    uint32_t ip = address(&rest);
    if (*rest == '/') rest++;
    byte bits = (byte)decimal(&rest);
    if (bytes(former, old, 6) != 6 || bytes(mac, new, 6) != 6 || bits > 32) return "no network card's address";
    long socket = call(SYS_socket, 16 /* netlink */, 3 /* raw */ | O_CLOEXEC, NETLINK_ROUTE, 0);
    if (socket < 0) return "the network cards cannot be reached";
    const char *problem = NULL;
    if (!findLink(socket, old, &index)) {
        problem = "a network card is not there";
    } else {
        struct ifinfomsg link = { .ifi_index = index, .ifi_change = IFF_UP };
        begin(RTM_NEWLINK, 0, &link, sizeof link);
        bool done = perform(socket);
        struct ifinfomsg same = { .ifi_index = index };
        begin(RTM_NEWLINK, 0, &same, sizeof same);
        attach(IFLA_ADDRESS, new, 6);
        done = perform(socket) && done;
        while (done && findAddress(socket, index)) done = perform(socket);
        struct ifaddrmsg mine = { .ifa_family = 2, .ifa_prefixlen = bits, .ifa_index = (uint32_t)index };
        begin(RTM_NEWADDR, NLM_F_CREATE, &mine, sizeof mine);
        attach(IFA_LOCAL, &ip, 4);
        attach(IFA_ADDRESS, &ip, 4);
        done = perform(socket) && done;
        link.ifi_flags = IFF_UP;
        begin(RTM_NEWLINK, 0, &link, sizeof link);
        done = perform(socket) && done;
        if (!done) problem = "a network card did not take its addresses";
    }
    closeFile(socket);
    return problem;
}

static const char *setGateway(const char *text) {
    uint32_t ip = address(&text);
    struct rtmsg route = {
        .rtm_family = 2, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_UNICAST
    };
    long socket = call(SYS_socket, 16, 3 | O_CLOEXEC, NETLINK_ROUTE, 0);
    begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &route, sizeof route);
    attach(RTA_GATEWAY, &ip, 4);
    bool done = socket >= 0 && perform(socket);
    if (socket >= 0) closeFile(socket);
    return done ? NULL : "there is no way to its gateway";
}

static const char *apply(const char *word) {
    static const struct {
        const char *name;
        const char *(*apply)(const char *);
    } kinds[] = {
        { "host", setHost }, { "id", setMachineID }, { "time", setClock },
        { "seed", seed }, { "card", setCard }, { "gateway", setGateway },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *found = value(word, kinds[i].name);
        if (found) return kinds[i].apply(found);
    }
    return "a word is not known";
}

static void answer(long file, const char *problem) {
    const char *text = problem ? problem : "ok";
    put(file, text, length(text));
    put(file, "\n", 1);
}

// The words of a line, again and again.
static void serve(long from, long to) {
    static char line[65536];
    size_t have = 0;
    for (;;) {
        long got = readSome(from, line + have, sizeof line - have);
        if (got == -4 /* EINTR */) continue;
        if (got <= 0) return;
        have += (size_t)got;
        if (line[have - 1] != '\n') {
            if (have == sizeof line) have = 0;
            continue;
        }
        const char *problem = NULL;
        for (char *word = line, *end = line; end < line + have; end++) {
            if (*end != ' ' && *end != '\n') continue;
            *end = 0;
            if (end > word && !problem) problem = apply(word);
            word = end + 1;
        }
        have = 0;
        answer(to, problem);
    }
}

static long fifo(const char *path) {
    call(SYS_unlink, (long)path, 0, 0, 0);
    if (call(SYS_mknod, (long)path, 0010600, 0, 0)) return -1;
    // For reading and writing, so that neither side ever waits for the other to open its end.
    return openFile(path, O_RDWR);
}

// Leaves a process behind that waits for the next words.
static void stay(void) {
    call(SYS_mkdir, (long)"/run/vmlab", 0700, 0, 0);
    long from = fifo("/run/vmlab/identity"), to = fifo("/run/vmlab/identity.answer");
    if (from < 0 || to < 0) return;
    long child = call(SYS_fork, 0, 0, 0, 0);
    if (child == 0) {
        call(SYS_setsid, 0, 0, 0, 0);
        call(SYS_chdir, (long)"/", 0, 0, 0);
        for (long file = 0; file < 64; file++) {
            if (file != from && file != to) closeFile(file);
        }
        serve(from, to);
        call(SYS_exit_group, 1, 0, 0, 0);
    }
    if (child < 0) return;
    char number[24], *start = number + sizeof number;
    *--start = '\n';
    for (; child; child /= 10) *--start = (char)('0' + child % 10);
    long file = openFile("/run/vmlab/identity.pid", O_WRONLY | O_CREAT | O_TRUNC);
    put(file, start, (size_t)(number + sizeof number - start));
    closeFile(file);
}

__attribute__((used)) static void run(long *stack) {
    const char *problem = NULL;
    for (char **word = (char **)stack + 2; *word; word++) {
        if (!problem) problem = apply(*word);
        // What stays shows no seed to those who list processes.
        memset(*word, 0, length(*word));
    }
    if (problem) answer(1, problem);
    stay();
    call(SYS_exit_group, problem != NULL, 0, 0, 0);
}

__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call run\n");
