// Starts all other processors by INIT and two SIPIs; each counts itself and says a byte, `*`. After 100 ms it says
// `smp: N processors`, N one digit, counting its own.
#include "guest.inc"
        .set    TRAMPOLINE, 0x8000
main:   mov     $trampoline, %esi
        mov     $TRAMPOLINE, %edi
        mov     $trampoline_end - trampoline, %ecx
        rep movsb
        movb    $1, TRAMPOLINE + counter - trampoline
        store   LOCAL_APIC + 0xf0, 0x1ff
        store   LOCAL_APIC + 0x300, 0xc4500
        mov     $10000000, %ebx
        call    pause_for
        store   LOCAL_APIC + 0x300, 0xc4600 + TRAMPOLINE >> 12
        mov     $1000000, %ebx
        call    pause_for
        store   LOCAL_APIC + 0x300, 0xc4600 + TRAMPOLINE >> 12
        mov     $100000000, %ebx
        call    pause_for
        mov     TRAMPOLINE + counter - trampoline, %al
        add     $'0', %al
        mov     %al, digit
        say     "\nsmp: "
        mov     $digit, %esi
        mov     $1, %ecx
        rep outsb
        say     " processors\n"
        power_off

// Waits so many nanoseconds by the timer, whose interrupt is masked.
pause_for:
        store   LOCAL_APIC + 0x3e0, 0xb
        store   LOCAL_APIC + 0x320, 0x10030
        mov     $LOCAL_APIC, %edi
        mov     %ebx, 0x380(%rdi)
1:      mov     0x390(%rdi), %eax
        test    %eax, %eax
        jnz     1b
        ret

        .code16
trampoline:
        cli
        mov     %cs, %ax
        mov     %ax, %ds
        lock incb counter - trampoline
        mov     $CONSOLE, %dx
        mov     $'*', %al
        out     %al, %dx
1:      hlt
        jmp     1b
counter: .byte  0
trampoline_end:
        .code64
        .data
digit:  .byte   0
