#!/bin/busybox sh
# vmlab-kill [SIGNAL]: signals (default KILL) every program a task started, and neither the session's cmd.exe nor
# Wine's own servers, so that the session survives. cmd.exe then reads its next line.
#
#   vmlab-kill list     prints their process ids instead
#   vmlab-kill session  kills the session's cmd.exe and nothing else; the relay starts another one
#
# A Wine process is a child of init whoever started it, so kinship tells nothing: the session is known by its
# parent, the relay, and Wine's own by name.
signal=${1:-KILL}
victims= session=
for process in /proc/[0-9]*; do
    [ "$process/exe" -ef /usr/lib/wine/wine64 ] || continue
    read -r comm <"$process/comm" || continue
    case $comm in
        services.exe | winedevice.exe | vmlab-rename* | plugplay.exe | svchost.exe | rpcss.exe | explorer.exe | wineboot.exe) continue ;;
    esac
    read -r _ rest <"$process/stat" || continue
    rest=${rest##*) }
    rest=${rest#* }
    read -r parent <"/proc/${rest%% *}/comm" || continue
    if [ "$parent" = relay ]; then session=${process#/proc/}; else victims="$victims ${process#/proc/}"; fi
done
case $signal in
    list) echo $victims ;;
    session) kill -KILL "$session" ;;
    *) [ -z "$victims" ] || kill -"$signal" $victims ;;
esac
