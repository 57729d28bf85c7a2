#!/bin/busybox sh
# Process 1 of the `busybox` image: prepares the guest, then keeps a shell on the second serial port.
#
# COM1 (ttyS0) is the kernel's console; what this script prints goes there too. COM2 (ttyS1) is the command channel,
# unless the kernel words name a virtio port that is written to (vmlab.port=) and a terminal that is read (vmlab.keys=).
# Most lines here are shell builtins: in emulation every new process costs a millisecond or more.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root SHELL=/bin/sh TERM=dumb

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr

read -r words < /proc/cmdline
guest=busybox port=ttyS1 keys=ttyS1
for word in $words; do
    case $word in
        vmlab.guest=*) guest=${word#*=} ;;
        vmlab.port=*) port=${word#*=} ;;
        vmlab.keys=*) keys=${word#*=} ;;
    esac
done
echo "$guest" > /proc/sys/kernel/hostname
echo "127.0.0.1 localhost $guest" > /etc/hosts
ifconfig lo 127.0.0.1 up

# Drivers for the devices that are there, and no others. A driver costs ten milliseconds in emulation, so those that no
# task asks for by name come when the guest is ready and has nothing better to do.
load= later=
for modalias in /sys/bus/pci/devices/*/modalias /sys/bus/acpi/devices/*/modalias; do
    [ -e "$modalias" ] || continue
    read -r alias < "$modalias"
    case $alias in
        pci:v00001AF4*) pci=virtio_pci ;;
        acpi:LNRO0005:*) mmio=virtio_mmio ;;
        acpi:QEMU0001:*) later=pvpanic-mmio ;;
    esac
done
[ -z "$pci$mmio" ] || modprobe -a $pci $mmio
for device in /sys/bus/virtio/devices/*/device; do
    [ -e "$device" ] || continue
    read -r type < "$device"
    case $type in
        0x0001) load="$load virtio_net" ;;
        0x0002) load="$load virtio_blk" ;;
        0x0003) load="$load virtio_console" ;;
        0x0004) later="$later virtio-rng" ;;
        0x0005) later="$later virtio_balloon" ;;
        0x0008) load="$load virtio_scsi" ;;
        0x0013) load="$load vmw_vsock_virtio_transport" ;;
    esac
done
[ -z "$load" ] || modprobe -a $load

# A disk is named by the serial number its owner gave it; letters depend on the order of discovery.
for file in /sys/block/vd*/serial; do
    [ -e "$file" ] || continue
    read -r serial < "$file"
    [ -n "$serial" ] || continue
    disk=${file%/serial}
    mkdir -p /dev/disk/by-id
    ln -s "../../${disk##*/}" "/dev/disk/by-id/$serial"
done

# Half as many processes as the kernel would allow: of a fork bomb there is memory left for what ends it.
read -r _ kilobytes _ < /proc/meminfo
echo $((kilobytes / 256)) > /proc/sys/kernel/threads-max

# What busybox's poweroff, halt and reboot send to process 1. Nothing needs a slow goodbye here.
trap 'sync; poweroff -f' USR2
trap 'sync; halt -f' USR1
trap 'sync; reboot -f' TERM

# From here on the console hears everything: the boot is over, and what tasks provoke is worth recording.
echo 7 > /proc/sys/kernel/printk

# A virtio port appears a moment after its controller, under a number of the kernel's choosing.
tries=0
until [ -c "/dev/$port" ] && [ -c "/dev/$keys" ] || [ $((tries += 1)) -gt 2000 ]; do
    for candidate in /sys/class/virtio-ports/*; do
        [ -e "$candidate/name" ] || continue
        read -r name < "$candidate/name" && [ "$name" = "$port" ] && port=${candidate##*/}
    done
    [ -c "/dev/$port" ] && [ -c "/dev/$keys" ] || usleep 5000
done

# The command channel, for ever. `setsid setsid` starts it: the inner one forks, so it returns at once. (With `&`
# the shell would make it ignore SIGINT for good, and Ctrl-C could interrupt nothing.) The session holds the pipe
# open for writing as long as it lives, and the reader ends when it does. `wait`, unlike a command in the
# foreground, lets the traps above run at once, and it collects orphans.
mkdir /run/vmlab
mkfifo /run/vmlab/session
while :; do
    read -r _ < /run/vmlab/session &
    setsid setsid /usr/lib/vmlab/session "/dev/$keys" "/dev/$port"
    reader=$!
    [ -z "$later" ] || sh -c 'renice -n 19 -p $$ > /dev/null; exec modprobe -a "$@"' sh $later &
    later=
    wait $reader
    read -r leader < /run/vmlab/leader && kill -9 "$leader" 2> /dev/null
done
