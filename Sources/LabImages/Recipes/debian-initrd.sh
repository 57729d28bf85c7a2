#!/bin/busybox sh
# Process 1 of the initial file system: drivers, the root disk and the kernel's modules, and on to the real system.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

read -r words < /proc/cmdline
guest= init=/usr/lib/vmlab/init
for word in $words; do
    case $word in
        vmlab.guest=*) guest=${word#*=} ;;
        vmlab.init=systemd) init=/sbin/init ;;
    esac
done

# Drivers for the devices that are there, and no others: each costs ten milliseconds in emulation. What is built in is no error.
bus=
for modalias in /sys/bus/pci/devices/*/modalias /sys/bus/acpi/devices/*/modalias; do
    [ -e "$modalias" ] || continue
    read -r alias < "$modalias"
    case $alias in
        pci:v00001AF4*) bus="$bus virtio_pci" ;;
        acpi:LNRO0005:*) bus="$bus virtio_mmio" ;;
    esac
done
[ -z "$bus" ] || modprobe -a $bus
drivers=
for device in /sys/bus/virtio/devices/*/device; do
    [ -e "$device" ] || continue
    read -r type < "$device"
    case $type in
        0x0001) drivers="$drivers virtio_net" ;;
        0x0002) drivers="$drivers virtio_blk" ;;
        0x0003) drivers="$drivers virtio_console" ;;
        0x0008) drivers="$drivers virtio_scsi" ;;
        0x0013) drivers="$drivers vmw_vsock_virtio_transport" ;;
    esac
done
modprobe -a $drivers squashfs ext4

# `find SERIAL MILLISECONDS` sets `disk` to the disk of this serial number. A disk may appear a moment after its driver.
find() {
    tries=0
    until [ $((tries += 5)) -gt "$2" ]; do
        for file in /sys/block/vd*/serial; do
            [ -e "$file" ] || continue
            read -r serial < "$file"
            disk=${file%/serial}
            disk=${disk##*/}
            [ "$serial" != "$1" ] || [ ! -b "/dev/$disk" ] || return 0
        done
        usleep 5000
    done
    echo "vmlab: there is no disk with the serial number $1" > /dev/kmsg
    return 1
}

# Without noinit_itable the kernel would write zeroes to the whole disk while the guest has other things to do.
find vmlab-root 10000 && mount -t ext4 -o noatime,noinit_itable "/dev/$disk" /new || exit 1
read -r sectors < "/sys/block/$disk/size"
read -r former < /new/usr/lib/vmlab/sectors
[ "$sectors" -le "${former:-$sectors}" ] || /new/usr/lib/vmlab/grow /new "/dev/$disk"

# The modules are a disk of their own, so that any kernel goes with any userland; one that needs none may have none.
if find vmlab-modules 500; then
    read -r release < /proc/sys/kernel/osrelease
    [ -d "/new/usr/lib/modules/$release" ] || mkdir -p "/new/usr/lib/modules/$release"
    mount -t squashfs -o ro "/dev/$disk" "/new/usr/lib/modules/$release"
fi

# The guest's name, before either init reads it.
read -r former < /new/etc/hostname
if [ -n "$guest" ] && [ "$guest" != "$former" ]; then
    echo "$guest" > /new/etc/hostname
    hosts=$(while read -r line; do
        case $line in 127.*" $former") line="${line%$former}$guest" ;; esac
        echo "$line"
    done < /new/etc/hosts)
    echo "$hosts" > /new/etc/hosts
fi

mount --move /proc /new/proc
mount --move /sys /new/sys
mount --move /dev /new/dev
exec switch_root /new "$init"
