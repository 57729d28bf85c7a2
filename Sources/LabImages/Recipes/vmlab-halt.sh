#!/bin/busybox sh
# vmlab-halt poweroff|reboot: ends the guest when everything, the registry too, is on its disk.
#
# Wine's server has the registry in memory and writes it now and then. On SIGTERM it writes it and ends, and Windows programs end
# with it. The relay, which would start another cmd.exe, and with it another server, stands still meanwhile.
. /etc/vmlab.env
kill -STOP $(pidof relay)
wineserver64 -k15
wineserver64 -w
sync
busybox "$1" -f
