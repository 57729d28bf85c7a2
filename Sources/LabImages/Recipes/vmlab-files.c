// Carries files between a guest and its host as tar streams, as its C library's tar cannot: what a file has, not what it says
// of its length; holes as holes; times to the nanosecond; attributes of users.
//
//   vmlab-files pack PATH...     writes an archive to standard output
//   vmlab-files unpack           reads one from standard input, into the working folder
//
// A file is a member with its first bytes, and GNU's continuation (`M`) for each further run of bytes, with the offset where it
// belongs: so each header is true whatever becomes of the file meanwhile, and a hole is where no bytes are. A folder comes
// after what is in it, so that its time is that of the source. Exit status 68: some files could not be read, the others are
// there. Freestanding for the same reason as vmlab-identity.

#include <fcntl.h>
#include <linux/stat.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>

typedef uint8_t byte;

enum { BLOCK = 512, PIECE = 1 << 18, PATH = 8192, EXTRA = 1 << 17, DEEPEST = 400 };

// What the compiler may call.
void *memset(void *to, int value, size_t count) {
    for (byte *bytes = to; count; count--) *bytes++ = (byte)value;
    return to;
}
void *memcpy(void *to, const void *from, size_t count) {
    void *start = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return start;
}

static long call(long number, long a, long b, long c, long d, long e) {
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}
static void quit(int status) {
    for (;;) call(SYS_exit_group, status, 0, 0, 0, 0);
}

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

// MARK: What goes wrong

static const char *reason(long error) {
    switch (-error) {
    case 1: return "operation not permitted";
    case 2: return "no such file";
    case 5: return "input/output error";
    case 12: return "out of memory";
    case 13: return "permission denied";
    case 17: return "a file is in the way";
    case 20: return "not a folder";
    case 21: return "a folder is in the way";
    case 22: return "invalid argument";
    case 24: return "too many folders in each other";
    case 28: return "no space left";
    case 30: return "the file system is read-only";
    case 36: return "a name is too long";
    case 39: return "a folder that is not empty is in the way";
    case 40: return "links that lead in a circle";
    case 122: return "the quota is used up";
    default: return "it failed";
    }
}

static void say(const char *text) { call(SYS_write, 2, (long)text, (long)length(text), 0, 0); }

static void sayNumber(uint64_t number) {
    char digits[24], *start = digits + sizeof digits - 1;
    *start = 0;
    do *--start = (char)('0' + number % 10);
    while (number /= 10);
    say(start);
}

static void complain(const char *path, long error) {
    say(path);
    say(": ");
    say(reason(error));
    say("\n");
}

static void fail(const char *path, long error) {
    complain(path, error);
    quit(1);
}

// MARK: Headers

struct header {
    char name[100], mode[8], owner[8], group[8], size[12], modified[12], checksum[8], kind, link[100], magic[8], users[64],
        numbers[16], prefix[155], rest[12];
};
// Where GNU's continuation has its offset.
enum { OFFSET_PLACE = 369 };

// A number in octal digits or, where it does not fit, in bytes after one of 0x80.
static void setNumber(char *field, size_t count, uint64_t number) {
    bool fits = number >> (3 * (count - 1) < 63 ? 3 * (count - 1) : 63) == 0;
    for (size_t i = count - (fits ? 1 : 0); i-- > 0; number >>= fits ? 3 : 8) {
        field[i] = (char)(fits ? '0' + (number & 7) : (byte)number);
    }
    if (!fits) field[0] |= (char)0x80;
}

static uint64_t number(const char *field, size_t count) {
    uint64_t value = 0;
    if (field[0] & 0x80) {
        for (size_t i = 1; i < count; i++) value = value << 8 | (byte)field[i];
        return value;
    }
    for (size_t i = 0; i < count; i++) {
        if (field[i] >= '0' && field[i] <= '7') value = value << 3 | (uint64_t)(field[i] - '0');
    }
    return value;
}

static byte out[PIECE];
static size_t outCount;

static void flush(void) {
    for (size_t done = 0; done < outCount;) {
        long count = call(SYS_write, 1, (long)(out + done), (long)(outCount - done), 0, 0);
        if (count == -4 /* EINTR */) continue;
        if (count <= 0) fail("the archive", count);
        done += (size_t)count;
    }
    outCount = 0;
}

static void put(const void *bytes, size_t count) {
    for (const byte *from = bytes; count;) {
        size_t piece = count < PIECE - outCount ? count : PIECE - outCount;
        memcpy(out + outCount, from, piece);
        from += piece, outCount += piece, count -= piece;
        if (outCount == PIECE) flush();
    }
}

static void pad(uint64_t count) {
    static const byte zeros[BLOCK];
    put(zeros, (size_t)(-count & (BLOCK - 1)));
}

static void putHeader(
    const char *path, char kind, uint64_t size, const struct statx *facts, const char *target, uint64_t offset) {
    struct header header;
    memset(&header, 0, sizeof header);
    const char *texts[] = {path, target};
    for (int i = 0; i < 2; i++) {
        size_t count = texts[i] ? length(texts[i]) : 0;
        if (count > 100) {
            putHeader("././@LongLink", i ? 'K' : 'L', count + 1, NULL, NULL, 0);
            put(texts[i], count + 1);
            pad(count + 1);
        }
        memcpy(i ? header.link : header.name, texts[i], count < 100 ? count : 100);
    }
    setNumber(header.mode, 8, facts ? facts->stx_mode & 07777 : 0644);
    setNumber(header.owner, 8, 0);
    setNumber(header.group, 8, 0);
    setNumber(header.size, 12, size);
    setNumber(header.modified, 12, facts && facts->stx_mtime.tv_sec > 0 ? (uint64_t)facts->stx_mtime.tv_sec : 0);
    header.kind = kind;
    memcpy(header.magic, "ustar  ", 8);
    if (kind == 'M') setNumber((char *)&header + OFFSET_PLACE, 12, offset);
    memset(header.checksum, ' ', 8);
    uint64_t sum = 0;
    for (size_t i = 0; i < BLOCK; i++) sum += ((byte *)&header)[i];
    setNumber(header.checksum, 7, sum);
    header.checksum[6] = 0;
    put(&header, BLOCK);
}

// MARK: PAX records

static byte records[EXTRA];
static size_t recordCount;

static void addRecord(const char *key, size_t keyLength, const void *value, size_t valueLength) {
    size_t body = keyLength + valueLength + 3, total = body, digits;
    do {
        digits = 1;
        for (size_t rest = total; rest >= 10; rest /= 10) digits++;
        if (total == body + digits) break;
        total = body + digits;
    } while (true);
    if (recordCount + total > EXTRA) return;
    byte *to = records + recordCount;
    for (size_t i = digits, rest = total; i-- > 0; rest /= 10) to[i] = (byte)('0' + rest % 10);
    to += digits;
    *to++ = ' ';
    memcpy(to, key, keyLength);
    to += keyLength;
    *to++ = '=';
    memcpy(to, value, valueLength);
    to[valueLength] = '\n';
    recordCount += total;
}

// Tells what a header has no room for.
static void putRecords(long file, const struct statx *facts) {
    static char names[1 << 16];
    static byte value[1 << 16];
    recordCount = 0;
    uint32_t nanoseconds = facts->stx_mtime.tv_nsec;
    if (nanoseconds && facts->stx_mtime.tv_sec > 0) {
        char text[40], *start = text + sizeof text;
        for (int i = 0; i < 9; i++, nanoseconds /= 10) *--start = (char)('0' + nanoseconds % 10);
        *--start = '.';
        uint64_t seconds = (uint64_t)facts->stx_mtime.tv_sec;
        do *--start = (char)('0' + seconds % 10);
        while (seconds /= 10);
        addRecord("mtime", 5, start, (size_t)(text + sizeof text - start));
    }
    long count = file < 0 ? 0 : call(SYS_flistxattr, file, (long)names, sizeof names, 0, 0);
    for (char *name = names; name < names + count; name += length(name) + 1) {
        if (!equal(name, "user.", 5)) continue;
        long size = call(SYS_fgetxattr, file, (long)name, (long)value, sizeof value, 0);
        char key[300] = "SCHILY.xattr.";
        if (size < 0 || length(name) > 256) continue;
        memcpy(key + 13, name, length(name));
        addRecord(key, 13 + length(name), value, (size_t)size);
    }
    if (!recordCount) return;
    putHeader("././@PaxHeader", 'x', recordCount, NULL, NULL, 0);
    put(records, recordCount);
    pad(recordCount);
}

// MARK: Packing

static int status;

static void miss(const char *path, long error) {
    complain(path, error);
    status = 68;
}

// Files with more than one name that have been packed: the second is a link to the first.
static struct { uint64_t device, inode; size_t path; } linked[1024];
static char linkedPaths[1 << 16];
static size_t linkedCount, linkedBytes;

static const char *firstName(const char *path, const struct statx *facts) {
    if (facts->stx_nlink < 2) return NULL;
    uint64_t device = (uint64_t)facts->stx_dev_major << 32 | facts->stx_dev_minor;
    for (size_t i = 0; i < linkedCount; i++) {
        if (linked[i].device == device && linked[i].inode == facts->stx_ino) return linkedPaths + linked[i].path;
    }
    size_t count = length(path) + 1;
    if (linkedCount < sizeof linked / sizeof *linked && linkedBytes + count <= sizeof linkedPaths) {
        linked[linkedCount].device = device;
        linked[linkedCount].inode = facts->stx_ino;
        linked[linkedCount++].path = linkedBytes;
        memcpy(linkedPaths + linkedBytes, path, count);
        linkedBytes += count;
    }
    return NULL;
}

// Reads until it has as many bytes as are wanted, or the file ends; files of /proc give a page at a time.
static long readFully(long file, byte *bytes, uint64_t wanted) {
    long count = 0;
    while ((uint64_t)count < wanted) {
        long got = call(SYS_read, file, (long)(bytes + count), (long)wanted - count, 0, 0);
        if (got == -4 /* EINTR */) continue;
        if (got <= 0) return count ? count : got;
        count += got;
    }
    return count;
}

static void packFile(const char *path, const struct statx *facts) {
    static byte piece[PIECE];
    const char *first = firstName(path, facts);
    if (first) return putHeader(path, '1', 0, facts, first, 0);
    long file = call(SYS_open, (long)path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, 0, 0);
    if (file < 0) return miss(path, file);
    // A file that grows is what it was when it was looked at. One that says it is empty may have content all the same.
    uint64_t end = facts->stx_size ? facts->stx_size : UINT64_MAX, offset = 0, written = 0;
    bool sparse = facts->stx_blocks * 512 < facts->stx_size, begun = false;
    while (offset < end) {
        uint64_t most = end - offset;
        if (sparse) {
            long data = call(SYS_lseek, file, (long)offset, 3 /* SEEK_DATA */, 0, 0);
            if (data == -6 /* ENXIO: nothing but a hole */) break;
            long hole = data < 0 ? data : call(SYS_lseek, file, data, 4 /* SEEK_HOLE */, 0, 0);
            if (hole < 0) {
                sparse = false;
            } else {
                offset = (uint64_t)data;
                if (offset >= end) break;
                most = ((uint64_t)hole < end ? (uint64_t)hole : end) - offset;
                call(SYS_lseek, file, data, 0, 0, 0);
            }
        }
        long count = readFully(file, piece, most < PIECE ? most : PIECE);
        if (count < 0) {
            miss(path, count);
            if (!begun) return (void)call(SYS_close, file, 0, 0, 0, 0);
        }
        if (count <= 0) {
            end = offset;
            break;
        }
        if (!begun) putRecords(file, facts);
        if (!begun && offset) putHeader(path, '0', 0, facts, NULL, 0);
        putHeader(path, begun || offset ? 'M' : '0', (uint64_t)count, facts, NULL, offset);
        begun = true;
        put(piece, (size_t)count);
        pad((uint64_t)count);
        written = offset += (uint64_t)count;
    }
    if (!begun) {
        putRecords(file, facts);
        putHeader(path, '0', 0, facts, NULL, 0);
    }
    if (end != UINT64_MAX && written < end) putHeader(path, 'M', 0, facts, NULL, end);
    call(SYS_close, file, 0, 0, 0, 0);
}

static void pack(char *path, size_t count, int depth) {
    struct statx facts;
    char target[PATH];
    long error = call(SYS_statx, AT_FDCWD, (long)path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, (long)&facts);
    if (error) return miss(path, error);
    switch (facts.stx_mode & S_IFMT) {
    case S_IFREG: return packFile(path, &facts);
    case S_IFLNK: {
        long size = call(SYS_readlink, (long)path, (long)target, PATH - 1, 0, 0);
        if (size < 0) return miss(path, size);
        target[size] = 0;
        return putHeader(path, '2', 0, &facts, target, 0);
    }
    case S_IFCHR: return putHeader(path, '3', 0, &facts, NULL, 0);
    case S_IFBLK: return putHeader(path, '4', 0, &facts, NULL, 0);
    case S_IFIFO: return putHeader(path, '6', 0, &facts, NULL, 0);
    case S_IFDIR: break;
    default: return;
    }
    long folder = depth > DEEPEST ? -24 : call(SYS_open, (long)path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, 0, 0);
    if (folder < 0) return miss(path, folder);
    // Its entries, and a slash that tells a folder in the header.
    path[count] = '/';
    for (;;) {
        byte entries[2048];
        long got = call(SYS_getdents64, folder, (long)entries, sizeof entries, 0, 0);
        if (got < 0) miss(path, got);
        if (got <= 0) break;
        for (long at = 0; at < got; at += *(uint16_t *)(entries + at + 16)) {
            const char *name = (const char *)entries + at + 19;
            size_t more = length(name);
            if ((more == 1 && name[0] == '.') || (more == 2 && name[0] == '.' && name[1] == '.')) continue;
            if (count + more + 3 > PATH) {
                path[count] = 0;
                miss(path, -36);
                path[count] = '/';
                continue;
            }
            memcpy(path + count + 1, name, more + 1);
            pack(path, count + 1 + more, depth + 1);
        }
    }
    path[count + 1] = 0;
    putRecords(-1, &facts);
    putHeader(path, '5', 0, &facts, NULL, 0);
    path[count] = 0;
    call(SYS_close, folder, 0, 0, 0, 0);
}

// MARK: Unpacking

static byte in[PIECE];
static size_t inCount, inPlace;

// The next bytes of the archive, at most `count`; at least one.
static size_t take(const byte **bytes, uint64_t count) {
    while (inPlace == inCount) {
        long got = call(SYS_read, 0, (long)in, PIECE, 0, 0);
        if (got == -4 /* EINTR */) continue;
        if (got < 0) fail("the archive", got);
        if (got == 0) {
            say("the archive ends too early\n");
            quit(1);
        }
        inCount = (size_t)got, inPlace = 0;
    }
    size_t piece = inCount - inPlace < count ? inCount - inPlace : (size_t)count;
    *bytes = in + inPlace;
    inPlace += piece;
    return piece;
}

static void get(void *to, uint64_t count) {
    for (byte *target = to; count;) {
        const byte *bytes;
        size_t piece = take(&bytes, count);
        if (target) memcpy(target, bytes, piece), target += piece;
        count -= piece;
    }
}

// What a member is, by its header and what stood before it.
struct member {
    struct header header;
    char path[PATH], target[PATH];
    uint64_t size, realSize;
    bool sparse;
    struct timespec modified;
};

static uint64_t decimal(const byte *text, const byte *end) {
    uint64_t value = 0;
    for (; text < end && *text >= '0' && *text <= '9'; text++) value = value * 10 + (uint64_t)(*text - '0');
    return value;
}

// Calls `use` with each of the records: its key, its value and the value's length.
static void forEachRecord(struct member *member, long file, void (*use)(struct member *, long, byte *, byte *, size_t)) {
    for (byte *at = records, *end = records + recordCount; at < end;) {
        byte *line = at;
        size_t total = (size_t)decimal(at, end);
        if (total < 4 || total > (size_t)(end - at)) return;
        while (at < end && *at != ' ') at++;
        byte *key = ++at;
        while (at < line + total && *at != '=') at++;
        if (at >= line + total) return;
        *at = 0;
        use(member, file, key, at + 1, (size_t)(line + total - at - 2));
        *at = '=';
        at = line + total;
    }
}

static bool isKey(const byte *key, const char *name) { return equal(key, name, length(name) + 1); }

static void copyText(char *to, const byte *value, size_t size) {
    size_t count = size < PATH - 1 ? size : PATH - 1;
    memcpy(to, value, count);
    to[count] = 0;
}

static void applyRecord(struct member *member, long file, byte *key, byte *value, size_t size) {
    (void)file;
    if (isKey(key, "path") || isKey(key, "GNU.sparse.name")) copyText(member->path, value, size);
    if (isKey(key, "linkpath")) copyText(member->target, value, size);
    if (isKey(key, "size")) member->size = decimal(value, value + size);
    if (isKey(key, "GNU.sparse.major")) member->sparse = true;
    if (isKey(key, "GNU.sparse.realsize")) member->realSize = decimal(value, value + size);
    if (isKey(key, "mtime")) {
        member->modified.tv_sec = (time_t)decimal(value, value + size);
        size_t at = 0;
        while (at < size && value[at] != '.') at++;
        long nanoseconds = 0;
        for (int digit = 0; digit < 9; digit++) {
            at += at < size;
            nanoseconds = nanoseconds * 10 + (at < size ? value[at] - '0' : 0);
        }
        member->modified.tv_nsec = nanoseconds;
    }
}

static void applyAttribute(struct member *member, long file, byte *key, byte *value, size_t size) {
    (void)member;
    // A file system that has none does without.
    if (equal(key, "SCHILY.xattr.user.", 18)) call(SYS_fsetxattr, file, (long)(key + 13), (long)value, (long)size, 0);
}

// Reads the next header with all that belongs to it. False at the archive's end.
static bool next(struct member *member) {
    bool hasPath = false, hasTarget = false;
    recordCount = 0;
    for (;;) {
        get(&member->header, BLOCK);
        if (!member->header.name[0] && !member->header.kind) return false;
        uint64_t size = number(member->header.size, 12);
        switch (member->header.kind) {
        case 'L': case 'K': case 'x': case 'g':
            if (size >= (member->header.kind == 'x' ? EXTRA : PATH)) {
                say("a name or a header of the archive is too long\n");
                quit(1);
            }
            if (member->header.kind == 'L') get(member->path, size), member->path[size] = 0, hasPath = true;
            if (member->header.kind == 'K') get(member->target, size), member->target[size] = 0, hasTarget = true;
            if (member->header.kind == 'x') get(records, size), recordCount = (size_t)size;
            if (member->header.kind == 'g') get(NULL, size);
            get(NULL, -size & (BLOCK - 1));
            continue;
        }
        if (!hasPath) copyText(member->path, (byte *)member->header.name, 100);
        if (!hasTarget) copyText(member->target, (byte *)member->header.link, 100);
        member->size = size;
        member->sparse = false;
        member->modified = (struct timespec){.tv_sec = (time_t)number(member->header.modified, 12)};
        forEachRecord(member, -1, applyRecord);
        return true;
    }
}

// Makes the folders above a path.
static void makeParents(char *path) {
    for (char *at = path + 1; *at; at++) {
        if (*at != '/' || at[1] == 0) continue;
        *at = 0;
        call(SYS_mkdir, (long)path, 0755, 0, 0, 0);
        *at = '/';
    }
}

static uint64_t mapNumber(uint64_t *left, uint64_t *used) {
    uint64_t value = 0;
    for (byte letter; *left; value = value * 10 + (uint64_t)(letter - '0')) {
        get(&letter, 1);
        --*left, ++*used;
        if (letter == '\n') return value;
    }
    return value;
}

// Writes the member's next bytes where they belong.
static void writeContent(struct member *member, long file, uint64_t offset, uint64_t count) {
    while (count) {
        const byte *bytes;
        size_t piece = take(&bytes, count);
        for (size_t done = 0; done < piece;) {
            long wrote = call(SYS_pwrite64, file, (long)(bytes + done), (long)(piece - done), (long)(offset + done), 0);
            if (wrote == -4 /* EINTR */) continue;
            if (wrote <= 0) {
                struct statfs space;
                complain(member->path, wrote);
                if (wrote == -28 && call(SYS_fstatfs, file, (long)&space, 0, 0, 0) == 0) {
                    say("it has ");
                    sayNumber(member->realSize >> 10);
                    say(" KiB, and there are ");
                    sayNumber((uint64_t)space.f_blocks * (uint64_t)space.f_bsize >> 10);
                    say(" KiB in all\n");
                }
                quit(1);
            }
            done += (size_t)wrote;
        }
        offset += piece, count -= piece;
    }
}

static void unpackFile(struct member *member) {
    static struct { uint64_t offset, count; } map[4096];
    long error = call(SYS_unlink, (long)member->path, 0, 0, 0, 0);
    if (error && error != -2) fail(member->path, error);
    long file = call(SYS_open, (long)member->path, O_WRONLY | O_CREAT | O_EXCL, 0600, 0, 0);
    if (file < 0) fail(member->path, file);
    uint64_t left = member->size;
    if (!member->sparse) {
        member->realSize = left;
        writeContent(member, file, 0, left);
    } else {
        uint64_t used = 0, count = mapNumber(&left, &used);
        if (count > sizeof map / sizeof *map) fail(member->path, -22);
        for (uint64_t i = 0; i < count; i++) {
            map[i].offset = mapNumber(&left, &used);
            map[i].count = mapNumber(&left, &used);
        }
        get(NULL, -used & (BLOCK - 1));
        for (uint64_t i = 0; i < count; i++) writeContent(member, file, map[i].offset, map[i].count);
    }
    error = call(SYS_ftruncate, file, (long)member->realSize, 0, 0, 0);
    if (error) fail(member->path, error);
    forEachRecord(member, file, applyAttribute);
    call(SYS_fchmod, file, (long)(number(member->header.mode, 8) & 07777), 0, 0, 0);
    struct timespec times[2] = {member->modified, member->modified};
    call(SYS_utimensat, file, 0, (long)times, 0, 0);
    call(SYS_close, file, 0, 0, 0, 0);
}

static void unpackFolder(struct member *member) {
    long error = call(SYS_mkdir, (long)member->path, 0700, 0, 0, 0);
    // A link to a folder that is there already stays.
    long folder = call(SYS_open, (long)member->path, O_RDONLY | O_DIRECTORY, 0, 0, 0);
    if (folder < 0) fail(member->path, error ? error : folder);
    call(SYS_fchmod, folder, (long)(number(member->header.mode, 8) & 07777), 0, 0, 0);
    struct timespec times[2] = {member->modified, member->modified};
    call(SYS_utimensat, folder, 0, (long)times, 0, 0);
    call(SYS_close, folder, 0, 0, 0, 0);
}

static void unpack(void) {
    static struct member member;
    while (next(&member)) {
        makeParents(member.path);
        long error = 0;
        switch (member.header.kind) {
        case 0: case '0': unpackFile(&member); break;
        case '5': unpackFolder(&member); break;
        case '1': case '2':
            error = call(SYS_unlink, (long)member.path, 0, 0, 0, 0);
            if (error == -2) error = 0;
            if (!error) {
                long make = member.header.kind == '1' ? SYS_link : SYS_symlink;
                error = call(make, (long)member.target, (long)member.path, 0, 0, 0);
            }
            if (error) fail(member.path, error);
            break;
        default: fail(member.path, -22);
        }
        get(NULL, -member.size & (BLOCK - 1));
    }
}

__attribute__((used)) static void run(long *stack) {
    static char path[PATH + 2];
    char **words = (char **)stack + 1;
    if (stack[0] > 2 && equal(words[1], "pack", 5)) {
        for (char **word = words + 2; *word; word++) {
            copyText(path, (byte *)*word, length(*word));
            pack(path, length(path), 0);
        }
        static const byte end[2 * BLOCK];
        put(end, sizeof end);
        flush();
        quit(status);
    }
    if (stack[0] == 2 && equal(words[1], "unpack", 7)) {
        unpack();
        quit(0);
    }
    say("usage: vmlab-files pack PATH... | vmlab-files unpack\n");
    quit(2);
}

__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call run\n");
