// The UART's receive interrupt. Says `interrupts: ready` and sleeps in `hlt`. For each
// interrupt it takes all bytes there are and then says `interrupt`, unless there were none: one that comes while it takes
// them raises the line again. Ends at EOT with `interrupts: done`.
#include "guest.inc"
main:   prepare_to_listen
        gate    0x24, arrival
        say     "interrupts: ready\n"
1:      sti
        hlt
        jmp     1b
arrival:
        xor     %ebx, %ebx
2:      mov     $CONSOLE + 5, %edx
        in      %dx, %al
        test    $1, %al
        jz      3f
        inc     %ebx
        mov     $CONSOLE, %edx
        in      %dx, %al
        cmp     $4, %al
        jne     2b
        say     "interrupts: done\n"
        power_off
3:      test    %ebx, %ebx
        jz      4f
        say     "interrupt\n"
4:      store   LOCAL_APIC + 0xb0, 0
        iretq
