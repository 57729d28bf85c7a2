// The local APIC's timer: three times 10 ms (a tick is 1 ns), slept through in `hlt`. Says `timer: done`.
#include "guest.inc"
main:   gate    0x30, tick
        store   LOCAL_APIC + 0xf0, 0x1ff
        store   LOCAL_APIC + 0x3e0, 0xb
        store   LOCAL_APIC + 0x320, 0x30
        mov     $3, %ebx
1:      store   LOCAL_APIC + 0x380, 10000000
        sti
        hlt
        cli
        cmp     $0, %ebx
        jne     1b
        say     "timer: done\n"
        power_off
tick:   say     "tick\n"
        dec     %ebx
        store   LOCAL_APIC + 0xb0, 0
        iretq
