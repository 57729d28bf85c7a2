#!/bin/bash
# One of Debian's kernels, ready for a virtual machine: the other half of the `debian` image (debian-root.sh makes the first).
#
# packages: busybox-static
# tools: dpkg-deb=dpkg cpio=cpio lz4=lz4 xz=xz-utils zstd=zstd zcat=gzip od=coreutils depmod=kmod modprobe=kmod mksquashfs=squashfs-tools
#
# In VMLAB_DEBS are busybox-static and the kernel's own packages: linux-image-RELEASE or, where that is empty and depends on them
# (sid), linux-base-RELEASE, linux-binary-RELEASE and linux-modules-RELEASE. The driver also sets VMLAB_FILES (this folder), VMLAB_WORK (an empty scratch folder) and
# VMLAB_OUT, where these go:
#   kernel            the kernel as an ELF file
#   initrd            busybox, a few drivers and debian-initrd.sh, which tells what becomes of the disks
#   modules.squashfs  the kernel's modules, for /usr/lib/modules/RELEASE, without those for hardware that no virtual machine has
# Needs no root, and the same packages always give the same bytes: times, owners and order are fixed.
set -euo pipefail
export LC_ALL=C TZ=UTC PATH=$PATH:/usr/sbin:/sbin
umask 022
# Of the places where releases have a file, those where it is not vanish.
shopt -s nullglob

step() { echo "step: $*"; }
fail() { echo "debian-kernel.sh: $*" >&2; exit 1; }

# The one file that matches a pattern.
only() { [ $# = 1 ] && [ -e "$1" ] || fail "expected one file, found: $*"; echo "$1"; }

step "unpacking the packages"
packages=$VMLAB_WORK/packages base=$VMLAB_WORK/base
for deb in "$VMLAB_DEBS"/*.deb; do dpkg-deb -x "$deb" "$packages"; done
busybox=$(only "$packages"/{,usr/}bin/busybox*)
# Where they are, and where depmod looks for them, depends on the release.
mkdir -p "$base/lib"
ln -s . "$base/usr"
mv "$(only "$packages"/{,usr/}lib/modules*)" "$base/lib/modules"
modules=$(only "$base"/lib/modules/*)
release=${modules##*/}
[ -e "$modules/modules.builtin" ] || fail "a package of the kernel $release is missing (linux-base-$release?)"
bzimage=$(only "$packages/boot/vmlinuz-$release"* "$modules"/vmlinuz*)

# Booting the ELF kernel through its PVH entry skips the real-mode setup code and the guest's own decompression of 50 MB, which
# costs an emulated processor most of a second. The payload's place is in the setup header of the boot protocol: setup_sects at
# 0x1f1, payload_offset at 0x248, payload_length at 0x24c. Behind it is its size in four bytes; gzip's is its own.
step "unpacking the kernel image $release"
field() { od -An -t "u$2" -j "$1" -N "$2" "$bzimage" | tr -d ' '; }
start=$(( ($(field $((0x1f1)) 1) + 1) * 512 + $(field $((0x248)) 4) ))
length=$(field $((0x24c)) 4)
payload() { tail -c +$((start + 1)) "$bzimage" | head -c $((length - ${1:-4})) || true; }
case $(payload | od -An -t x1 -N 4 | tr -d ' ') in
    02214c18 | 04224d18) payload | lz4 -dcq ;;
    28b52ffd) payload | zstd -dcq ;;
    fd377a58) payload | xz -dc ;;
    1f8b*) payload 0 | zcat ;;
    *) fail "the kernel in $bzimage is compressed by none of lz4, zstd, xz and gzip" ;;
esac > "$VMLAB_OUT/kernel"
[ "$(head -c 4 "$VMLAB_OUT/kernel" | tail -c 3)" = ELF ] || fail "the payload of $bzimage is not an ELF kernel"

step "choosing kernel modules"
rm -rf "$modules"/{build,source,vmlinuz}
# By what they drive. Of network cards, those that virtual machines emulate stay.
(
    cd "$modules/kernel"
    rm -rf sound net/{wireless,mac80211,bluetooth,nfc,can,atm,ax25,netrom,rose,ieee802154} \
        drivers/{accel,bluetooth,comedi,edac,firewire,gpu,hwmon,iio,infiniband,isdn,leds,media,memstick,mmc,mtd,nfc,parport} \
        drivers/{pcmcia,regulator,soundwire,staging,thunderbolt,video,w1} drivers/input/{joystick,tablet,touchscreen} \
        drivers/net/{can,ieee802154,usb,wireless,wwan} drivers/usb/{gadget,misc,serial}
    find drivers/net/ethernet -mindepth 1 -maxdepth 1 ! -name amazon ! -name amd ! -name google ! -name intel ! -name realtek \
        -exec rm -rf {} +
)
# The file system below compresses all at once, and in a way that costs the guest less.
find "$modules" -name '*.ko.xz' -print0 | xargs -0r -n 64 -P "$(nproc)" xz -d
find "$modules" -name '*.ko.zst' -print0 | xargs -0r zstd -dq --rm

# The host's, as busybox's depmod makes no indices for udev and modprobe.
depmod -b "$base" "$release"

step "assembling the initial file system"
root=$VMLAB_WORK/root
mkdir -p "$root"/{bin,sbin,dev,lib,new,proc,sys} "$root/lib/modules/$release"
cp "$busybox" "$root/bin/busybox"
for applet in sh cat mkdir mount modprobe switch_root usleep; do ln -s busybox "$root/bin/$applet"; done
# Where the kernel looks for it.
ln -s ../bin/busybox "$root/sbin/modprobe"
install -m 755 "$VMLAB_FILES/debian-initrd.sh" "$root/init"
# Buses, disks, the channel, networks; ext4 and the checksums it asks for are built into some kernels.
for module in virtio_pci virtio_mmio virtio_blk virtio_scsi virtio_console virtio_net vmw_vsock_virtio_transport squashfs ext4; do
    modprobe -d "$base" -S "$release" --show-depends "$module" || fail "kernel $release has no module $module"
done > "$VMLAB_WORK/closure"
modprobe -d "$base" -S "$release" --show-depends crc32c_generic >> "$VMLAB_WORK/closure" 2> /dev/null || true
sed -n 's/^insmod \([^ ]*\).*/\1/p' "$VMLAB_WORK/closure" | sort -u | while read -r module; do
    install -D -m 644 "$module" "$root/lib/modules/$release/${module##*"/$release/"}"
done
cp "$modules/modules.builtin" "$root/lib/modules/$release/"
"$busybox" depmod -b "$root" "$release"
for index in dep alias symbols; do
    sort -o "$root/lib/modules/$release/modules.$index" "$root/lib/modules/$release/modules.$index"
done

step "packing"
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | sort | cpio --quiet --create --format=newc --reproducible --owner=+0:+0) > "$VMLAB_OUT/initrd"
mksquashfs "$modules" "$VMLAB_OUT/modules.squashfs" -noappend -quiet -no-progress -all-root -no-xattrs -mkfs-time 0 -all-time 0 \
    -comp zstd -Xcompression-level 9 >&2
step "done: kernel $release"
