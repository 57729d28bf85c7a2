#!/usr/lib/vmlab/busybox sh
# vmlab's agent in a guest whose init is its own: finds the command channel's ports, waits for the end of the boot and becomes the
# session. Any init that restarts it will do; systemd also says when the boot has ended.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# In a system that is not of vmlab's making, what the session and its peers call for is in a folder of the agent's.
[ -x /usr/sbin/vmlab-identity ] || PATH=$PATH:/usr/lib/vmlab
export HOME=/root USER=root LOGNAME=root SHELL=/bin/sh TERM=dumb LANG=C.UTF-8
busybox=/usr/lib/vmlab/busybox
[ ! -x /bin/bash ] || SHELL=/bin/bash

read -r words < /proc/cmdline
port= keys=
for word in $words; do
    case $word in
        vmlab.port=*) port=${word#*=} ;;
        vmlab.keys=*) keys=${word#*=} ;;
    esac
done
# A disk that boots by itself has no words of vmlab's: there the machine has the faster port if the guest is known to drive it.
if [ -z "$port" ]; then
    port=ttyS1 keys=ttyS1
    for device in /sys/bus/virtio/devices/*/device; do
        [ -e "$device" ] && read -r type < "$device" && [ "$type" = 0x0003 ] || continue
        port=vmlab.com2 keys=hvc0
        [ -d /sys/bus/virtio/drivers/virtio_console ] || modprobe virtio_console 2> /dev/null
    done
fi

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

# A small system's /run is part of its root file system, and full of what was there before the last boot.
# Debian's busybox does not have `mountpoint`.
mounted() {
    while read -r _ place _; do [ "$place" != "$1" ] || return 0; done < /proc/mounts
    return 1
}
mounted /run || mounted /run/vmlab || {
    $busybox mkdir -p /run/vmlab
    $busybox mount -t tmpfs -o mode=755 tmpfs /run/vmlab
}
$busybox mkdir -p /run/vmlab

# Ready is who has all services (vmlab-booted.service); but one that hangs must not keep people from looking for the reason.
# The pipe is open before the look at the file, so that no word is missed.
if [ -d /run/systemd/system ]; then
    [ -p /run/vmlab/boot ] || $busybox mkfifo /run/vmlab/boot
    exec 3<> /run/vmlab/boot
    if [ ! -e /run/vmlab/booted ] && ! read -r -t 60 _ <&3; then
        echo 'vmlab: services are still being started: `systemctl list-jobs`' > /dev/kmsg
    fi
    $busybox rm /run/vmlab/boot
    exec 3<&-
fi

# From here on the console hears everything: the boot is over, and what tasks provoke is worth recording.
echo 7 > /proc/sys/kernel/printk

# The session opens this to tell an init of vmlab's that it lives. Others know that anyway.
[ -p /run/vmlab/session ] || $busybox mkfifo /run/vmlab/session
exec /usr/lib/vmlab/session "/dev/$keys" "/dev/$port" 9<> /run/vmlab/session
