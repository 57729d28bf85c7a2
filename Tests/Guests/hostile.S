// Writes everywhere: patterns to the ports that do not end the machine, then to every virtio register, and last it sets
// queues up with rubbish (addresses beyond RAM, loops, huge lengths) and rings. Says `hostile: done` if it gets there.
#include "guest.inc"
        .set    RANDOM_STEP, 1664525
main:   say     "hostile: ports\n"
        mov     $12345, %r12d
        xor     %ebx, %ebx
1:      mov     %ebx, %edx
        cmp     $0x64, %edx                     // the keyboard controller's reset
        je      3f
        and     $~7, %edx
        cmp     $0x600, %edx                    // power
        je      3f
        cmp     $CONSOLE, %edx                  // its own voice
        je      3f
        mov     %ebx, %edx
        call    random
        test    $1, %ebx
        jnz     2f
        out     %eax, %dx
        in      %dx, %eax
        jmp     3f
2:      out     %al, %dx
        in      %dx, %ax
3:      inc     %ebx
        cmp     $0x1000, %ebx                   // above, where nobody is, every sixteenth
        jb      1b
        add     $15, %ebx
        cmp     $0x10000, %ebx
        jb      1b

        say     "hostile: registers\n"
        mov     $0xd0000000, %ebx
4:      cmpl    $0x74726976, (%rbx)
        jne     6f
        xor     %ebp, %ebp
5:      call    random
        mov     %eax, (%rbx,%rbp)
        mov     %al, 1(%rbx,%rbp)
        mov     (%rbx,%rbp), %eax
        mov     %rax, (%rbx,%rbp)
        add     $4, %ebp
        cmp     $0x200, %ebp
        jb      5b
        add     $0x1000, %rbx
        jmp     4b

6:      say     "hostile: queues\n"
        mov     $0xd0000000, %ebx
7:      cmpl    $0x74726976, (%rbx)
        jne     13f
        mov     $32, %r13d                      // rounds
8:      movl    $0, 0x70(%rbx)
        movl    $3, 0x70(%rbx)
        movl    $1, 0x24(%rbx)
        movl    $1, 0x20(%rbx)
        movl    $0, 0x24(%rbx)
        call    random
        mov     %eax, 0x20(%rbx)
        movl    $11, 0x70(%rbx)
        // Rubbish in all three rings.
        mov     $rings, %edi
        mov     $256, %ecx
9:      call    random
        mov     %eax, (%rdi)
        add     $4, %edi
        dec     %ecx
        jnz     9b
        xor     %ebp, %ebp                      // queue
10:     mov     %ebp, 0x30(%rbx)
        movl    $8, 0x38(%rbx)
        mov     $0x80, %r14d
11:     call    random
        and     $0x3f0, %eax
        add     $rings, %eax
        mov     %eax, (%rbx,%r14)
        xor     %eax, %eax
        test    $7, %r13d
        jnz     12f
        call    random                          // in some rounds far beyond RAM
12:     mov     %eax, 4(%rbx,%r14)
        add     $0x10, %r14d
        cmp     $0xb0, %r14d
        jb      11b
        movl    $1, 0x44(%rbx)
        inc     %ebp
        cmp     $2, %ebp
        jb      10b
        movl    $15, 0x70(%rbx)
        movl    $0, 0x50(%rbx)
        movl    $1, 0x50(%rbx)
        call    random
        mov     %eax, 0x50(%rbx)
        dec     %r13d
        jnz     8b
        movl    $0, 0x70(%rbx)
        add     $0x1000, %rbx
        jmp     7b
13:     say     "hostile: done\n"
        power_off

random: imul    $RANDOM_STEP, %r12d, %r12d
        add     $1013904223, %r12d
        mov     %r12d, %eax
        ror     $13, %eax
        ret

        .bss
        .balign 4096
rings:  .skip   8192
