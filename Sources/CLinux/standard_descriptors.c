#include <fcntl.h>

// Fills standard descriptors that are closed (`vmlab … >&-`) before anything is opened: the Swift runtime opens some of its own
// before `main`, and what is printed would go into one of them. Reading from or writing to a filled one fails with EBADF.
__attribute__((constructor(101))) static void fill_standard_descriptors(void) {
    for (int number = 0; number <= 2; number++) {
        // The lowest free number is this one.
        if (fcntl(number, F_GETFD) < 0) (void)open("/dev/null", number == 0 ? O_WRONLY : O_RDONLY);
    }
}
