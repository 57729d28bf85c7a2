#!/bin/busybox sh
# vmlab-rename NAME: gives a running guest (a clone) its own host name and Windows computer name. The session's
# cmd.exe keeps its variable until it is told: set COMPUTERNAME=NAME
set -eu
. /etc/vmlab.env
hostname "$1"
echo "127.0.0.1 localhost $1" >/etc/hosts
upper=$(echo "$1" | tr a-z A-Z)
control='HKLM\System\CurrentControlSet'
wine64 reg add "$control\\Control\\ComputerName\\ActiveComputerName" /v ComputerName /d "$upper" /f >/dev/null
wine64 reg add "$control\\Services\\Tcpip\\Parameters" /v Hostname /d "$1" /f >/dev/null
