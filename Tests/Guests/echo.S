// Serial echo on COM1. Says `echo: ready`, then sends back every byte it gets, and ends at EOT (Ctrl-D).
#include "guest.inc"
main:   prepare_to_listen
        say     "echo: ready\n"
1:      listen
        cmp     $4, %al
        je      2f
        out     %al, %dx
        jmp     1b
2:      say     "\necho: done\n"
        power_off
