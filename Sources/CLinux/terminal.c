#include "CLinux.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct termios found;
static volatile sig_atomic_t terminal = -1;

void vmlab_terminal_restore(void) {
    int file = terminal;
    terminal = -1;
    if (file >= 0) tcsetattr(file, TCSANOW, &found);
}

// The handler was reset when it was entered, so the second time the signal ends the process as it would have.
static void crashed(int number) {
    vmlab_terminal_restore();
    raise(number);
}

int vmlab_terminal_keep(int file) {
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
    static int is_prepared = 0;
    if (tcgetattr(file, &found) != 0) return -1;
    if (!is_prepared) {
        is_prepared = 1;
        atexit(vmlab_terminal_restore);
        struct sigaction action = {.sa_handler = crashed, .sa_flags = SA_RESETHAND};
        for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) sigaction(crashes[i], &action, NULL);
    }
    terminal = file;
    return 0;
}

int vmlab_terminal_raw(int file) {
    if (vmlab_terminal_keep(file) != 0) return -1;
    struct termios raw = found;
    cfmakeraw(&raw);
    // The monitor's own messages still begin new lines at the left.
    raw.c_oflag |= OPOST;
    return tcsetattr(file, TCSANOW, &raw);
}
