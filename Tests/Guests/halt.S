// Says `halt: asleep` and sleeps with interrupts off: nothing but the host ends it, and it costs no time.
#include "guest.inc"
main:   say     "halt: asleep\n"
1:      hlt
        jmp     1b
