// A virtio-blk round trip: reads sector 0 of the first disk, writes it to sector 1, reads that back and compares. Says
// `block: done` and leaves both sectors equal, or says `failed:` and what.
#include "guest.inc"
#include "disk.inc"
main:   find_disk
        mov     $first, %esi
        mov     $0, %edi
        mov     $0, %eax
        call    request
        mov     $first, %esi
        mov     $1, %edi
        mov     $1, %eax
        call    request
        mov     $second, %esi
        mov     $1, %edi
        mov     $0, %eax
        call    request
        mov     $first, %esi
        mov     $second, %edi
        mov     $64, %ecx
3:      mov     (%rsi), %rax
        cmp     %rax, (%rdi)
        expect_equal "the sectors differ"
        add     $8, %esi
        add     $8, %edi
        dec     %ecx
        jnz     3b
        say     "block: done\n"
        power_off

        .bss
        .balign 4096
first:  .skip   512
second: .skip   512
