// Resets the machine: by the keyboard controller after a `k` on COM1, by ACPI's reset register after an `a`. Any other byte
// ends it. Memory must be as new each time: it leaves a mark there.
#include "guest.inc"
main:   prepare_to_listen
        mov     $0x1000000, %ebx
        cmpl    $0, (%rbx)
        expect_equal "memory is as before the reset"
        movl    $0x6b72616d, (%rbx)
        say     "reset: ready\n"
        listen
        cmp     $'k', %al
        je      1f
        cmp     $'a', %al
        je      2f
        say     "reset: done\n"
        power_off
1:      port_out 1, 0x64, 0xfe
        jmp     3f
2:      port_out 1, 0x602, 1
3:      hlt
        jmp     3b
