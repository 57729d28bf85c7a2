#!/bin/busybox sh
# The init of the `wine` image, both halves: /init in the initrd, and again as `/sbin/init guest` in the root.
#
# Words on the kernel's command line:
#   vmlab.guest=NAME    host name and Windows computer name (default: wine)
#   vmlab.port=ttyS1    the command channel: a device, or the name of a virtio serial port, which is far faster
#   vmlab.shell         a shell on the kernel console when something here fails (default: power off)
#
# COM1 (ttyS0) is the kernel's console and this script's; COM2 is the relay's alone. README.md beside the recipe
# tells what travels there.

set -u
bb=/bin/busybox

fail() {
    echo "vmlab: $*"
    case " $(cat /proc/cmdline) " in *" vmlab.shell "*) exec $bb setsid $bb sh -c 'exec sh </dev/ttyS0 >/dev/ttyS0 2>&1' ;; esac
    $bb poweroff -f
    $bb sleep 60
}

early() {
    $bb mount -t proc proc /proc
    $bb mount -t sysfs sysfs /sys
    $bb mount -t devtmpfs dev /dev
    for module in $($bb cat /modules/order); do
        $bb insmod "/modules/$module.ko" || echo "vmlab: module $module did not load"
    done
    # PCI and MMIO devices are probed by the insmod above, so the disk is there or it is not coming.
    root=
    for disk in /sys/block/vd*; do
        [ -e "$disk/serial" ] || continue
        read -r serial <"$disk/serial" || :
        [ "$serial" = vmlab-root ] && root=/dev/${disk##*/}
    done
    [ -n "$root" ] || fail "no disk with the serial vmlab-root"
    # Without noinit_itable the kernel would write zeroes to the whole disk while the guest has other things to do.
    $bb mount -t ext4 -o noatime,noinit_itable "$root" /root || fail "$root holds no ext4"
    for dir in proc sys dev; do $bb mount -o move /$dir /root/$dir; done
    exec $bb switch_root /root /sbin/init guest
}

guest() {
    export PATH=/sbin:/bin HOME=/root
    name=wine port=ttyS1
    for word in $(cat /proc/cmdline); do
        case $word in
            vmlab.guest=*) name=${word#*=} ;;
            vmlab.port=*) port=${word#*=} ;;
        esac
    done
    hostname "$name"
    echo "127.0.0.1 localhost $name" >/etc/hosts
    # What is of one boot only: FIFOs and process numbers, the socket of Wine's server.
    mount -t tmpfs tmpfs /run
    mount -t tmpfs tmpfs /tmp
    mkdir -p /dev/pts /dev/shm
    mount -t devpts devpts /dev/pts
    ifconfig lo 127.0.0.1 up
    . /etc/vmlab.env
    cd "$WINEPREFIX/drive_c" || fail "no drive C"
    # A virtio port appears a moment after its controller, under a number of the kernel's choosing.
    tries=0
    until [ -c "/dev/$port" ] || [ $((tries += 1)) -gt 500 ]; do
        for candidate in /sys/class/virtio-ports/*; do
            read -r label <"$candidate/name" && [ "$label" = "$port" ] && port=${candidate##*/}
        done 2>/dev/null
        [ -c "/dev/$port" ] || usleep 10000
    done
    relay "/dev/$port" wine64 'C:\windows\system32\cmd.exe' >/dev/console 2>&1 </dev/null
    fail "the relay ended with $?"
}

case ${1-} in
    guest) guest ;;
    *) early ;;
esac
