#!/usr/lib/vmlab/busybox sh
# The command channel of our Linux images: a shell that reads commands from the terminal `$1` and answers on `$2`.
#
# Output goes through a pipe to `cat`, so that programs see a pipe and not a terminal, and their bytes arrive as
# written and in order. Commands have /dev/null as their input, so that none can eat the commands after it.
# Ctrl-C (byte 0x03) interrupts the command in the foreground: this session owns the terminal, `cat` ignores the
# signal, and the resident shell takes it with an empty trap (its children get the default back). The host teaches the
# shell the rest: a pipe of its own to descriptor 6, the port, and what kills a command at byte 254, the terminal's
# suspend character (POSIXSession.swift).
keys=$1 port=$2
cd /root
echo $$ > /run/vmlab/leader
exec 9> /run/vmlab/session
exec < "$keys" 6> "$port"
# On a serial port the speed matters even in emulation: QEMU holds the last bytes of a line back for four characters.
case $keys in /dev/ttyS*) speed=115200 ;; *) speed= ;; esac
stty raw $speed -echo isig intr ^C quit undef susp 254 noflsh
trap : INT TSTP
{
    trap : INT TSTP
    while :; do
        printf '\nVMLAB READY sh\n'
        # The system's own shell: by its name alone busybox would be its own.
        /bin/sh -c "trap : INT TSTP; . $keys" sh < /dev/null
    done
} 2>&1 9>&- | {
    trap '' INT TSTP
    cat >&6 9>&-
    kill -9 $$
}
