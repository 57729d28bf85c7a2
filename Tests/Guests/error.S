// Goes on in memory that is no memory: KVM cannot run or emulate that (KVM_EXIT_INTERNAL_ERROR). Says `error: now` first.
#include "guest.inc"
main:   say     "error: now\n"
        mov     $0xd8000000, %eax
        jmp     *%rax
