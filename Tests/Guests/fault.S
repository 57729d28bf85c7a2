// A page fault after the first byte on COM1, which it handles as Linux does one of its own: cries on the console, tells
// pvpanic, and waits for another byte until it powers off.
#include "guest.inc"
main:   prepare_to_listen
        gate    14, crash
        say     "fault: ready\n"
        listen
        mov     $0x8000000000, %rax
        mov     (%rax), %rax
crash:  say     "BUG: unable to handle page fault for address: 0000008000000000\n"
        say     "Kernel panic - not syncing: Fatal exception\n"
        port_out 1, 0x505, 1
        listen
        power_off
