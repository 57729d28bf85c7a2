// A virtio-blk round trip: reads sector 0 of the first disk, writes it to sector 1, reads that back and compares. Says
// `block: done` and leaves both sectors equal, or says `failed:` and what.
#include "guest.inc"
main:   mov     $0xd0000000, %ebx
        mov     $0x1000, %ecx
        cmpl    $0x74726976, (%rbx)
        je      1f
        mov     $0xfeb00000, %ebx               // QEMU's microvm
        mov     $0x200, %ecx
        cmpl    $0x74726976, (%rbx)
        expect_equal "no virtio device"
1:      cmpl    $2, 8(%rbx)
        je      2f
        add     %rcx, %rbx
        cmpl    $0x74726976, (%rbx)
        expect_equal "no disk"
        jmp     1b
2:      movl    $0, 0x70(%rbx)
        movl    $3, 0x70(%rbx)
        movl    $0, 0x24(%rbx)
        movl    $0, 0x20(%rbx)
        movl    $1, 0x24(%rbx)
        movl    $1, 0x20(%rbx)
        movl    $11, 0x70(%rbx)
        movl    $0, 0x30(%rbx)
        movl    $4, 0x38(%rbx)
        movl    $table, 0x80(%rbx)
        movl    $0, 0x84(%rbx)
        movl    $available, 0x90(%rbx)
        movl    $0, 0x94(%rbx)
        movl    $used, 0xa0(%rbx)
        movl    $0, 0xa4(%rbx)
        movl    $1, 0x44(%rbx)
        movl    $15, 0x70(%rbx)

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

// One request of type EAX for sector EDI with the 512 bytes at ESI; RBX has the device.
request:
        mov     %eax, header
        mov     %edi, header + 8
        movb    $0xff, status
        movl    $header, table
        movl    $16, table + 8
        movl    $0x10001, table + 12
        mov     %esi, table + 16
        movl    $512, table + 24
        xor     $1, %eax                        // The device writes what is read.
        shl     $1, %eax
        or      $0x20001, %eax
        mov     %eax, table + 28
        movl    $status, table + 32
        movl    $1, table + 40
        movl    $2, table + 44
        incw    available + 2
        movl    $0, 0x50(%rbx)
        mov     available + 2, %ax
1:      cmp     %ax, used + 2
        jne     1b
        movl    $3, 0x64(%rbx)
        cmpb    $0, status
        expect_equal "the disk refuses"
        ret

        .bss
        .balign 4096
table:  .skip   4096
available: .skip 4096
used:   .skip   4096
header: .skip   16
status: .skip   16
first:  .skip   512
second: .skip   512
