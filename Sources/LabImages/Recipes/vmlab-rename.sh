#!/bin/busybox sh
# vmlab-rename NAME: gives a running guest (a clone) its Windows computer name; vmlab-identity gives it its host name. The
# session's cmd.exe keeps its variables until it is told: set COMPUTERNAME=NAME
#
# A Windows program of its own does it, which stays and waits for the next name in the FIFO /run/vmlab/rename, so that a
# clone of this guest has none to start. It answers in rename.answer there; its process id is in rename.pid.
set -eu
. /etc/vmlab.env
mkdir -p /run/vmlab
cd /run/vmlab
resident=
if ! { read -r resident <rename.pid && kill -0 "$resident"; } 2>/dev/null; then
    rm -f rename rename.answer
    mkfifo rename rename.answer
    resident=
fi
# For reading and writing, so that neither side waits for the other to open its end, and what is written stays.
exec 3<>rename 4<>rename.answer
if [ -z "$resident" ]; then
    setsid wine64 'C:\windows\system32\vmlab-rename.exe' <&3 >&4 3<&- 4<&- 2>/dev/null &
    echo $! >rename.pid
fi
echo "$1" >&3
read -r -t 60 answer <&4 || answer="no answer from Wine"
[ "$answer" = ok ] || { echo "$answer"; exit 1; }
