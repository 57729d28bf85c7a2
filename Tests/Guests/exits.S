// Every way out of a guest but the deadly ones: ports and memory that nobody has, in all widths, single and repeated.
// What is absent must read as ones. Says `exits: done`, or `failed:` and what.
#include "guest.inc"
        .set    ABSENT_PORT, 0xe00
        .set    ABSENT, 0xd8000000
main:   mov     $ABSENT_PORT, %edx
        xor     %eax, %eax
        in      %dx, %al
        cmp     $0xff, %eax
        expect_equal "in, 1 byte"
        xor     %eax, %eax
        in      %dx, %ax
        cmp     $0xffff, %eax
        expect_equal "in, 2 bytes"
        mov     $ABSENT_PORT, %edx
        in      %dx, %eax
        cmp     $-1, %eax
        expect_equal "in, 4 bytes"
        port_out 1, ABSENT_PORT, 1
        port_out 2, ABSENT_PORT, 2
        port_out 4, ABSENT_PORT, 4
        mov     $ABSENT_PORT, %edx
        mov     $buffer, %edi
        mov     $16, %ecx
        rep insb
        mov     $ABSENT_PORT, %edx
        mov     $buffer + 16, %edi
        mov     $4, %ecx
        rep insl
        cmpq    $-1, buffer
        expect_equal "rep insb"
        cmpq    $-1, buffer + 24
        expect_equal "rep insl"
        mov     $buffer, %esi
        mov     $16, %ecx
        mov     $ABSENT_PORT, %edx
        rep outsb
        mov     $4, %ecx
        rep outsw
        mov     $ABSENT, %edi
        xor     %eax, %eax
        mov     (%rdi), %al
        cmp     $0xff, %eax
        expect_equal "memory, 1 byte"
        mov     $ABSENT, %edi
        movzwl  2(%rdi), %eax
        cmp     $0xffff, %eax
        expect_equal "memory, 2 bytes"
        mov     $ABSENT, %edi
        mov     4(%rdi), %eax
        cmp     $-1, %eax
        expect_equal "memory, 4 bytes"
        mov     $ABSENT, %edi
        mov     8(%rdi), %rax
        cmp     $-1, %rax
        expect_equal "memory, 8 bytes"
        mov     $ABSENT, %edi
        mov     %al, (%rdi)
        mov     %ax, 2(%rdi)
        mov     %eax, 4(%rdi)
        mov     %rax, 8(%rdi)
        movl    $5, 1(%rdi)
        say     "exits: done\n"
        power_off
        .bss
buffer: .skip   32
