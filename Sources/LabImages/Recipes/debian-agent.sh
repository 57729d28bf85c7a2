#!/usr/lib/vmlab/busybox sh
# vmlab's agent under systemd: finds the command channel's ports, waits for the end of the boot and becomes the session.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root USER=root LOGNAME=root SHELL=/bin/bash TERM=dumb LANG=C.UTF-8
busybox=/usr/lib/vmlab/busybox

read -r words < /proc/cmdline
port=ttyS1 keys=ttyS1
for word in $words; do
    case $word in
        vmlab.port=*) port=${word#*=} ;;
        vmlab.keys=*) keys=${word#*=} ;;
    esac
done

# udev has its own names for disks; these are the same as in all of vmlab's guests.
for file in /sys/block/vd*/serial; do
    [ -e "$file" ] || continue
    read -r serial < "$file"
    [ -n "$serial" ] && [ ! -e "/dev/disk/by-id/$serial" ] || continue
    disk=${file%/serial}
    $busybox mkdir -p /dev/disk/by-id
    $busybox ln -s "../../${disk##*/}" "/dev/disk/by-id/$serial"
done

# A virtio port appears a moment after its controller, under a number of the kernel's choosing.
tries=0
until [ -c "/dev/$port" ] && [ -c "/dev/$keys" ] || [ $((tries += 1)) -gt 2000 ]; do
    for candidate in /sys/class/virtio-ports/*; do
        [ -e "$candidate/name" ] || continue
        read -r name < "$candidate/name" && [ "$name" = "$port" ] && port=${candidate##*/}
    done
    [ -c "/dev/$port" ] && [ -c "/dev/$keys" ] || $busybox usleep 5000
done

# Ready is who has all services (debian-booted.service); but one that hangs must not keep people from looking for the reason.
# The pipe is open before the look at the file, so that no word is missed.
$busybox mkdir -p /run/vmlab
[ -p /run/vmlab/boot ] || $busybox mkfifo /run/vmlab/boot
exec 3<> /run/vmlab/boot
if [ ! -e /run/vmlab/booted ] && ! read -r -t 60 _ <&3; then
    echo 'vmlab: services are still being started: `systemctl list-jobs`' > /dev/kmsg
fi
$busybox rm /run/vmlab/boot
exec 3<&-

# From here on the console hears everything: the boot is over, and what tasks provoke is worth recording.
echo 7 > /proc/sys/kernel/printk

# The session opens this to tell an init of vmlab's that it lives. Here systemd knows that anyway.
[ -p /run/vmlab/session ] || $busybox mkfifo /run/vmlab/session
exec /usr/lib/vmlab/session "/dev/$keys" "/dev/$port" 9<> /run/vmlab/session
