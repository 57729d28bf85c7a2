// Reads a disk on demand, for snapshots: says `sectors: ready`, then for each digit that comes on COM1 the first byte of that
// sector. Ends at EOT.
#include "guest.inc"
#include "disk.inc"
main:   find_disk
        prepare_to_listen
        say     "sectors: ready\n"
1:      listen
        cmp     $4, %al
        je      2f
        and     $0xf, %eax
        mov     %eax, %edi
        mov     $target, %esi
        mov     $0, %eax
        call    request
        mov     $CONSOLE, %edx
        mov     target, %al
        out     %al, %dx
        jmp     1b
2:      say     "\nsectors: done\n"
        power_off

        .bss
        .balign 4096
target: .skip   512
