// A triple fault: an invalid instruction and no table of handlers. Says `triple: now` first.
#include "guest.inc"
main:   say     "triple: now\n"
        lidt    nothing
        ud2
        .data
nothing: .fill  10, 1, 0
