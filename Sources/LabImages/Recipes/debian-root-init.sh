#!/usr/lib/vmlab/busybox sh
# Process 1 of Debian without systemd: prepares the guest, then keeps a shell on the command channel.
#
# debian-initrd.sh has mounted /proc, /sys, /dev and the kernel's modules, loaded the drivers and set the names. The channel is a
# terminal that is read (vmlab.keys=) and a port that is written to (vmlab.port=). Most lines here are shell builtins: in
# emulation every new process costs a millisecond or more.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root USER=root LOGNAME=root SHELL=/bin/bash TERM=dumb LANG=C.UTF-8
busybox=/usr/lib/vmlab/busybox

$busybox mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /run
$busybox mkdir -p -m 1777 /run/lock /dev/shm /dev/mqueue
$busybox mkdir -p /dev/pts /run/vmlab
$busybox mount -t devpts -o gid=5,mode=620 devpts /dev/pts
$busybox mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm
$busybox ln -s /proc/self/fd /dev/fd
$busybox ln -s fd/0 /dev/stdin
$busybox ln -s fd/1 /dev/stdout
$busybox ln -s fd/2 /dev/stderr

read -r words < /proc/cmdline
port=ttyS1 keys=ttyS1
for word in $words; do
    case $word in
        vmlab.port=*) port=${word#*=} ;;
        vmlab.keys=*) keys=${word#*=} ;;
    esac
done
read -r guest < /etc/hostname
echo "$guest" > /proc/sys/kernel/hostname
$busybox ifconfig lo 127.0.0.1 up
if [ ! -s /etc/machine-id ]; then
    IFS=- read -r a b c d e < /proc/sys/kernel/random/uuid
    echo "$a$b$c$d$e" > /etc/machine-id
fi

# Drivers that no task asks for by name come when the guest is ready and has nothing better to do.
later=
[ ! -e /sys/bus/acpi/devices/QEMU0001:00 ] || later=pvpanic-mmio
for device in /sys/bus/virtio/devices/*/device; do
    [ -e "$device" ] || continue
    read -r type < "$device"
    case $type in
        0x0004) later="$later virtio-rng" ;;
        0x0005) later="$later virtio_balloon" ;;
    esac
done

# A disk is named by the serial number its owner gave it; letters depend on the order of discovery.
for file in /sys/block/vd*/serial; do
    [ -e "$file" ] || continue
    read -r serial < "$file"
    [ -n "$serial" ] || continue
    disk=${file%/serial}
    [ -d /dev/disk/by-id ] || $busybox mkdir -p /dev/disk/by-id
    $busybox ln -s "../../${disk##*/}" "/dev/disk/by-id/$serial"
done

# Half as many processes as the kernel would allow: of a fork bomb there is memory left for what ends it.
read -r _ kilobytes _ < /proc/meminfo
echo $((kilobytes / 256)) > /proc/sys/kernel/threads-max

# What busybox's poweroff, halt and reboot send to process 1. Nothing needs a slow goodbye here.
trap 'sync; $busybox poweroff -f' USR2
trap 'sync; $busybox halt -f' USR1
trap 'sync; $busybox reboot -f' TERM

# From here on the console hears everything: the boot is over, and what tasks provoke is worth recording.
echo 7 > /proc/sys/kernel/printk

# A virtio port appears a moment after its controller, under a number of the kernel's choosing.
tries=0
until [ -c "/dev/$port" ] && [ -c "/dev/$keys" ] || [ $((tries += 1)) -gt 2000 ]; do
    for candidate in /sys/class/virtio-ports/*; do
        [ -e "$candidate/name" ] || continue
        read -r name < "$candidate/name" && [ "$name" = "$port" ] && port=${candidate##*/}
    done
    [ -c "/dev/$port" ] && [ -c "/dev/$keys" ] || $busybox usleep 5000
done

# The command channel, for ever. `setsid setsid` starts it: the inner one forks, so it returns at once. (With `&`
# the shell would make it ignore SIGINT for good, and Ctrl-C could interrupt nothing.) The session holds the pipe
# open for writing as long as it lives, and the reader ends when it does. `wait`, unlike a command in the
# foreground, lets the traps above run at once, and it collects orphans.
$busybox mkfifo /run/vmlab/session
while :; do
    read -r _ < /run/vmlab/session &
    $busybox setsid $busybox setsid /usr/lib/vmlab/session "/dev/$keys" "/dev/$port"
    reader=$!
    [ -z "$later" ] || sh -c 'renice -n 19 -p $$ > /dev/null; exec modprobe -a "$@"' sh $later &
    later=
    wait $reader
    read -r leader < /run/vmlab/leader && kill -9 "$leader" 2> /dev/null
done
