// After the first byte on COM1 a triple fault: an invalid instruction and no table of handlers.
#include "guest.inc"
main:   prepare_to_listen
        say     "triple: ready\n"
        listen
        lidt    nothing
        ud2
        .data
nothing: .fill  10, 1, 0
