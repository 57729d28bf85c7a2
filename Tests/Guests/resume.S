// Counts what comes on COM1, for snapshots: says `resume: ready`, then for each byte a letter from RAM and one from a register,
// both of them one further in the alphabet each time, and sleeps in `hlt` in between. After `t` the local APIC's timer says
// `tick`, 300 ms later. Ends at EOT.
#include "guest.inc"
main:   prepare_to_listen
        gate    0x30, tick
        store   LOCAL_APIC + 0x3e0, 0xb
        store   LOCAL_APIC + 0x320, 0x30
        mov     $0x40, %ebx
        movb    $0x60, counter
        say     "resume: ready\n"
1:      listen
        cmp     $4, %al
        je      3f
        cmp     $0x74, %al
        jne     2f
        store   LOCAL_APIC + 0x380, 300000000
2:      inc     %ebx
        incb    counter
        mov     $CONSOLE, %edx
        mov     counter, %al
        out     %al, %dx
        mov     %bl, %al
        out     %al, %dx
        jmp     1b
3:      say     "\nresume: done\n"
        power_off
tick:   push    %rax
        push    %rdx
        say     "tick\n"
        store   LOCAL_APIC + 0xb0, 0
        pop     %rdx
        pop     %rax
        iretq

        .bss
counter: .skip  1
