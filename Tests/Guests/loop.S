// Says `loop: for ever` and loops with interrupts off: only the host ends it.
#include "guest.inc"
main:   say     "loop: for ever\n"
1:      jmp     1b
