// After the first byte on COM1 it goes on in memory that is no memory: KVM can neither run nor emulate that
// (KVM_EXIT_INTERNAL_ERROR).
#include "guest.inc"
main:   prepare_to_listen
        say     "error: ready\n"
        listen
        mov     $0xd8000000, %eax
        jmp     *%rax
