// What the measured guest tells its driver, byte by byte on the debug port. No byte of text is among them: a guest's
// firmware may write its log to the same port.
enum mark {
    mark_init = 0xf0,            // the first instructions of process 1
    mark_terminal = 0xf1,        // the console is raw; it waits for a byte `go`
    mark_output = 0xf2,          // `output_bytes` of `x` follow on the console
    mark_input = 0xf3,           // it waits for `input_bytes` of `y`
    mark_input_done = 0xf4,
    mark_sequential = 0xf5,      // the disk is there; reads all of it, `sequential_request` bytes at a time
    mark_random = 0xf6,          // reads `random_requests` blocks of `random_request` bytes here and there
    mark_done = 0xf7,            // powers off
};

enum {
    go = 'g',
    output_bytes = 64 << 10,
    input_bytes = 16 << 10,
    disk_bytes = 32 << 20,
    sequential_request = 128 << 10,
    random_requests = 1000,
    random_request = 4 << 10,
};
