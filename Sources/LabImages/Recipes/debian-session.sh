#!/bin/busybox sh
# The command channel of the `debian` image: a shell that reads commands from the terminal `$1` and answers on `$2`.
#
# Output goes through a pipe to `cat`, so that programs see a pipe and not a terminal, and their bytes arrive as
# written and in order. Commands have /dev/null as their input, so that none can eat the commands after it.
# Ctrl-C (byte 0x03) interrupts the command in the foreground: this session owns the terminal, `cat` ignores the
# signal, and the resident shell takes it with an empty trap (its children get the default back).
keys=$1 port=$2
cd /root
echo $$ > /run/vmlab/leader
exec 9> /run/vmlab/session
exec < "$keys"
# On a serial port the speed matters even in emulation: QEMU holds the last bytes of a line back for four characters.
case $keys in /dev/ttyS*) speed=115200 ;; *) speed= ;; esac
stty raw $speed -echo isig intr ^C quit undef susp undef noflsh
trap : INT
{
    trap : INT
    while :; do
        printf '\nVMLAB READY sh\n'
        sh -c "trap : INT; . $keys" sh < /dev/null
    done
} 2>&1 9>&- | {
    # `cat` yields to the shell and its programs: instead of waking between a command's begin marker, its output and
    # its end marker, at the price of two switches of address space each time, it carries all of them at once. The
    # scheduler's next tick bounds how long output waits while a program computes.
    trap '' INT
    sh -c 'renice -n 19 -p $$ > /dev/null; exec cat' > "$port" 9>&-
    kill -9 $$
}
