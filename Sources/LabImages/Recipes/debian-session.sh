#!/bin/busybox sh
# The command channel of the `debian` image: a shell that reads commands from COM2 (ttyS1).
#
# Output goes through a pipe to `cat`, so that programs see a pipe and not a terminal, and their bytes arrive as
# written and in order. Commands have /dev/null as their input, so that none can eat the commands after it.
# Ctrl-C (byte 0x03) interrupts the command in the foreground: this session owns the terminal, `cat` ignores the
# signal, and the resident shell takes it with an empty trap (its children get the default back).
channel=/dev/ttyS1
cd /root
echo $$ > /run/vmlab/leader
exec 9> /run/vmlab/session
exec < "$channel"
# The speed matters even in emulation: QEMU holds the last bytes of a line back for four characters' time.
stty raw 115200 -echo isig intr ^C quit undef susp undef noflsh
trap : INT
{
    trap : INT
    while :; do
        printf '\nVMLAB READY sh\n'
        sh -c "trap : INT; . $channel" sh < /dev/null
    done
} 2>&1 9>&- | { trap '' INT; cat > "$channel" 9>&-; kill -9 $$; }
