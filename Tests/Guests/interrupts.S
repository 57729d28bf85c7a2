// The UART's receive interrupt, by IOAPIC pin 4 and the local APIC. Says `interrupts: ready` and sleeps in `hlt`. For each
// interrupt it takes all bytes there are and then says `interrupt`, unless there were none: one that comes while it takes
// them raises the line again. Ends at EOT with `interrupts: done`.
#include "guest.inc"
main:   gate    0x24, arrival
        // The old controllers would deliver it a second time.
        port_out 1, 0x21, 0xff
        port_out 1, 0xa1, 0xff
        store   LOCAL_APIC + 0xf0, 0x1ff
        store   IOAPIC, 0x18
        store   IOAPIC + 0x10, 0x24
        store   IOAPIC, 0x19
        store   IOAPIC + 0x10, 0
        port_out 1, CONSOLE + 2, 1
        port_out 1, CONSOLE + 4, 0x0b
        port_out 1, CONSOLE + 1, 1
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
