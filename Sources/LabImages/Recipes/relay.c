// The in-guest end of the command channel of the `wine` image: it joins one serial port to two resident
// interpreters, Wine's cmd.exe (the guest's console) and a Linux shell (the host's plumbing).
//
// It is C because it is the guest's, not vmlab's: a small static program, linked against nothing in the image,
// started before anything else there. No Swift runtime exists in the image, and none should.
//
//   relay PORT CMD-PROGRAM [ARGUMENT...]
//
// From the port:
//   - A line that begins with DLE (0x10) belongs to /bin/sh. It ends at LF only and goes through as it comes, so
//     it may be of any length and hold any byte but LF.
//   - ETX (0x03) anywhere in another line drops that line and sends SIGINT to the programs cmd.exe runs.
//   - Any other line is cmd.exe's and ends at CR, LF or CR LF. cmd.exe reads a whole block from a pipe, takes its
//     first line and drops the rest; so each line is one packet (pipe2 with O_DIRECT) ending in CR LF. A packet
//     holds 4096 bytes: a longer line is cut there, and cmd.exe refuses long lines anyway.
// To the port: what either interpreter writes, byte for byte, and "\nVMLAB READY cmd\n" when cmd.exe has printed
// its first prompt (again whenever it had to be restarted).
//
// Nothing is dropped: the port is read only while both queues have room, and an interpreter's output only while
// the port's queue is empty. The relay never blocks anywhere but in poll().

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { DLE = 0x10, ETX = 0x03, QUEUE = 65536, PACKET = 4096, CHUNK = 16384 };

// Bytes waiting for a descriptor. `packets` queues hold whole lines, each written by one write().
typedef struct {
    unsigned char bytes[QUEUE];
    size_t start, end;
    bool packets;
} Queue;

typedef struct {
    pid_t pid;
    int input, output;
    bool exited;
    Queue pending;
} Interpreter;

static Interpreter cmd = { .pid = -1, .input = -1, .output = -1, .pending = { .packets = true } };
static Interpreter shell = { .pid = -1, .input = -1, .output = -1 };
static Queue toPort;
static int port;

static size_t space(const Queue *queue) { return QUEUE - (queue->end - queue->start); }

static void append(Queue *queue, const void *bytes, size_t count) {
    if (queue->end + count > QUEUE) {
        memmove(queue->bytes, queue->bytes + queue->start, queue->end - queue->start);
        queue->end -= queue->start;
        queue->start = 0;
    }
    memcpy(queue->bytes + queue->end, bytes, count);
    queue->end += count;
}

// Writes what the descriptor takes now. False when its reader is gone.
static bool drain(Queue *queue, int descriptor) {
    while (queue->start < queue->end) {
        size_t count = queue->end - queue->start;
        if (queue->packets) {
            unsigned char *newline = memchr(queue->bytes + queue->start, '\n', count);
            if (!newline) return true;
            count = (size_t)(newline - (queue->bytes + queue->start)) + 1;
        }
        ssize_t written = write(descriptor, queue->bytes + queue->start, count);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno == EAGAIN;
        queue->start += (size_t)written;
    }
    queue->start = queue->end = 0;
    return true;
}

static void stop(void) { _exit(1); }

static void nonblocking(int descriptor) { fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK); }

// A child starts with no signal blocked or ignored.
static void defaultSignals(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

// Starts a program with pipes for its input and its output (stdout and stderr together).
static void start(Interpreter *interpreter, char *const arguments[], bool packets) {
    int input[2], output[2];
    if (pipe2(input, O_CLOEXEC | (packets ? O_DIRECT : 0)) || pipe2(output, O_CLOEXEC)) stop();
    fcntl(output[1], F_SETPIPE_SZ, 1 << 18);
    if (!packets) fcntl(input[1], F_SETPIPE_SZ, 1 << 18);
    pid_t pid = fork();
    if (pid < 0) stop();
    if (pid == 0) {
        defaultSignals();
        setsid();
        dup2(input[0], 0);
        dup2(output[1], 1);
        dup2(output[1], 2);
        execvp(arguments[0], arguments);
        _exit(127);
    }
    close(input[0]);
    close(output[1]);
    nonblocking(input[1]);
    nonblocking(output[0]);
    interpreter->pid = pid;
    interpreter->input = input[1];
    interpreter->output = output[0];
    interpreter->exited = false;
    interpreter->pending.start = interpreter->pending.end = 0;
}

static void end(Interpreter *interpreter) {
    close(interpreter->input);
    close(interpreter->output);
    if (interpreter->exited) return;
    kill(interpreter->pid, SIGKILL);
    while (waitpid(interpreter->pid, NULL, 0) < 0 && errno == EINTR) {}
}

// Ctrl-C. vmlab-kill (in the image) knows which processes are Wine's own and which are the task's.
static void interrupt(void) {
    pid_t pid = fork();
    if (pid == 0) {
        defaultSignals();
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execl("/sbin/vmlab-kill", "vmlab-kill", "INT", (char *)NULL);
        _exit(127);
    }
}

// Where the next byte from the port belongs.
static struct {
    enum { LINE_START, IN_CMD, IN_SHELL } place;
    bool afterCR;
    size_t length;
    unsigned char line[PACKET];
} input;

static void endCommandLine(void) {
    memcpy(input.line + input.length, "\r\n", 2);
    append(&cmd.pending, input.line, input.length + 2);
    input.place = LINE_START;
    input.length = 0;
}

static void take(const unsigned char *bytes, size_t count) {
    const unsigned char *limit = bytes + count;
    while (bytes < limit) {
        if (input.place == LINE_START && *bytes == DLE) {
            input.place = IN_SHELL;
            input.afterCR = false;
            bytes++;
        } else if (input.place == IN_SHELL) {
            const unsigned char *newline = memchr(bytes, '\n', (size_t)(limit - bytes));
            size_t length = newline ? (size_t)(newline - bytes) + 1 : (size_t)(limit - bytes);
            append(&shell.pending, bytes, length);
            bytes += length;
            if (newline) input.place = LINE_START;
        } else {
            unsigned char byte = *bytes++;
            bool secondHalf = byte == '\n' && input.afterCR;
            input.afterCR = byte == '\r';
            if (secondHalf) continue;
            if (byte == ETX) {
                input.place = LINE_START;
                input.length = 0;
                interrupt();
            } else if (byte == '\n' || byte == '\r') {
                endCommandLine();
            } else {
                input.place = IN_CMD;
                if (input.length < PACKET - 2) input.line[input.length++] = byte;
            }
        }
    }
}

// Moves one chunk of output to the port's queue. False when there is none now, and never will be.
static bool collect(Interpreter *interpreter, bool *awaitsPrompt) {
    static unsigned char chunk[CHUNK];
    ssize_t count = read(interpreter->output, chunk, sizeof chunk);
    // What outlives an interpreter may hold its pipe open: its exit ends the session, not only end of file.
    if (count < 0) return (errno == EAGAIN || errno == EINTR) && !interpreter->exited;
    if (count == 0) return false;
    append(&toPort, chunk, (size_t)count);
    // The banner holds no '>', so the first one ends the first prompt.
    if (awaitsPrompt && *awaitsPrompt && memchr(chunk, '>', (size_t)count)) {
        static const char ready[] = "\nVMLAB READY cmd\n";
        append(&toPort, ready, sizeof ready - 1);
        *awaitsPrompt = false;
    }
    return true;
}

static void reap(int signals) {
    struct signalfd_siginfo ignored;
    while (read(signals, &ignored, sizeof ignored) > 0) {}
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;) {
        if (pid == cmd.pid) cmd.exited = true;
        if (pid == shell.pid) shell.exited = true;
    }
}

static void openPort(const char *path) {
    struct termios settings;
    port = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (port < 0) stop();
    if (tcgetattr(port, &settings) == 0) {
        cfmakeraw(&settings);
        settings.c_cflag |= CLOCAL | CREAD;
        settings.c_cflag &= ~(tcflag_t)CRTSCTS;
        cfsetspeed(&settings, B115200);
        tcsetattr(port, TCSANOW, &settings);
    }
}

int main(int count, char *arguments[]) {
    static char *const sh[] = { "/bin/sh", NULL };
    bool awaitsPrompt = true, away = false;
    if (count < 3) return 2;
    signal(SIGPIPE, SIG_IGN);
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    int signals = signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals < 0) stop();
    openPort(arguments[1]);
    start(&shell, sh, false);
    start(&cmd, arguments + 2, true);
    for (;;) {
        // An interpreter's output is read only when the port has taken the last of it; the port only when a
        // block of it fits both queues whatever lines it holds (each lone CR becomes two bytes).
        bool portIdle = toPort.start == toPort.end;
        bool room = space(&cmd.pending) > 2 * CHUNK + PACKET && space(&shell.pending) > CHUNK;
        struct pollfd polls[] = {
            { port, (short)((room ? POLLIN : 0) | (portIdle ? 0 : POLLOUT)), 0 },
            { signals, POLLIN, 0 },
            { portIdle ? cmd.output : -1, POLLIN, 0 },
            { portIdle ? shell.output : -1, POLLIN, 0 },
            { cmd.pending.start < cmd.pending.end ? cmd.input : -1, POLLOUT, 0 },
            { shell.pending.start < shell.pending.end ? shell.input : -1, POLLOUT, 0 },
        };
        // A virtio port says "hung up" while the host is not connected, and no poll() tells when it is again.
        if (away) polls[0].fd = -1;
        bool ending = cmd.exited || shell.exited;
        if (poll(polls, 6, ending && portIdle ? 0 : away ? 20 : -1) < 0 && errno != EINTR) stop();
        if (polls[1].revents) reap(signals);
        bool cmdAlive = true, shellAlive = true;
        if (portIdle && (polls[2].revents || cmd.exited)) cmdAlive = collect(&cmd, &awaitsPrompt);
        if (portIdle && (polls[3].revents || shell.exited)) shellAlive = collect(&shell, NULL);
        away = false;
        if (polls[0].revents & POLLHUP) away = true;
        if (room && polls[0].revents & (POLLIN | POLLHUP)) {
            static unsigned char chunk[CHUNK];
            ssize_t got = read(port, chunk, sizeof chunk);
            if (got > 0) {
                take(chunk, (size_t)got);
                away = false;
            } else if (got < 0 && errno != EAGAIN && errno != EINTR) {
                stop();
            }
        }
        if (!drain(&cmd.pending, cmd.input)) cmdAlive = false;
        if (!drain(&shell.pending, shell.input)) shellAlive = false;
        if (!drain(&toPort, port)) stop();
        if (!shellAlive) {
            end(&shell);
            start(&shell, sh, false);
        }
        if (!cmdAlive) {
            end(&cmd);
            start(&cmd, arguments + 2, true);
            awaitsPrompt = true;
        }
    }
}
