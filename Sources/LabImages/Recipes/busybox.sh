#!/bin/bash
# The smallest Linux: Debian's own cloud kernel with a busybox userland, the `busybox` image.
#
# packages: linux-image-cloud-amd64 busybox-static
# tools: dpkg-deb=dpkg cpio=cpio lz4=lz4 od=coreutils cc=gcc strip=binutils
# version: 1
# cmdline: console=ttyS0 loglevel=5 cryptomgr.notests noreplace-smp vmlab.port=vmlab.com2 vmlab.keys=hvc0
# memory: 256MiB
# minimum-memory: 96MiB
#
# The driver sets VMLAB_DEBS (the .deb files), VMLAB_FILES (this directory), VMLAB_WORK (an empty
# scratch directory) and VMLAB_OUT (what the image is made of goes here). Needs no root, and the
# same packages always give the same bytes: times, owners and order are fixed.
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022

step() { echo "step: $*"; }
fail() { echo "busybox.sh: $*" >&2; exit 1; }

# The one file that matches a pattern.
only() { [ $# = 1 ] && [ -e "$1" ] || fail "expected one file, found: $*"; echo "$1"; }

step "unpacking the kernel and busybox"
packages=$VMLAB_WORK/packages
dpkg-deb -x "$(only "$VMLAB_DEBS"/linux-image-*-cloud-amd64_*.deb)" "$packages"
dpkg-deb -x "$(only "$VMLAB_DEBS"/busybox-static_*.deb)" "$packages"
release=$(basename "$(only "$packages"/lib/modules/*)")
bzimage=$packages/boot/vmlinuz-$release
busybox=$packages/bin/busybox

# Booting the ELF kernel through its PVH entry skips the real-mode setup code and the guest's own
# decompression of 53 MB, which costs an emulated processor most of a second. The payload's place is in the
# setup header of the boot protocol: setup_sects at 0x1f1, payload_offset at 0x248, payload_length at 0x24c.
step "unpacking the kernel image $release"
field() { od -An -t "u$2" -j "$1" -N "$2" "$bzimage" | tr -d ' '; }
start=$(( ($(field $((0x1f1)) 1) + 1) * 512 + $(field $((0x248)) 4) ))
length=$(field $((0x24c)) 4)
tail -c +$((start + 1)) "$bzimage" | head -c $((length - 4)) > "$VMLAB_WORK/vmlinux.lz4" || true
lz4 -dcq "$VMLAB_WORK/vmlinux.lz4" > "$VMLAB_OUT/kernel"
[ "$(head -c 4 "$VMLAB_OUT/kernel" | tail -c 3)" = ELF ] || fail "the payload of $bzimage is not an ELF kernel"

step "assembling the initial file system"
root=$VMLAB_WORK/root
mkdir -p "$root"/{bin,sbin,dev,etc,lib,mnt,proc,root,run,sys,tmp,usr/bin,usr/sbin,var/tmp}
ln -s /run "$root/var/run"
cp "$busybox" "$root/bin/busybox"
"$busybox" --list-full | while read -r applet; do
    mkdir -p "$root/$(dirname "$applet")"
    [ -e "$root/$applet" ] || ln -s /bin/busybox "$root/$applet"
done
install -m 755 "$VMLAB_FILES/busybox-init.sh" "$root/init"
# Scripts that other images have too begin with the path that busybox has in all of them.
mkdir -p "$root/usr/lib/vmlab"
ln -s /bin/busybox "$root/usr/lib/vmlab/busybox"
install -m 755 "$VMLAB_FILES/session.sh" "$root/usr/lib/vmlab/session"
install -D -m 755 "$VMLAB_FILES/udhcpc.sh" "$root/etc/udhcpc/default.script"
for tool in "$VMLAB_FILES/vmlab-identity.c" "$VMLAB_FILES/vmlab-files.c"; do
    cc -static -nostdlib -ffreestanding -fno-stack-protector -fno-pic -no-pie -fno-asynchronous-unwind-tables -Os -Wall \
        -Wl,--build-id=none,-z,noseparate-code -o "$root/sbin/$(basename "$tool" .c)" "$tool" >&2
    strip -R .comment -R .note.gnu.property "$root/sbin/$(basename "$tool" .c)"
done
echo 'root:x:0:0:root:/root:/bin/sh' > "$root/etc/passwd"
echo 'root:x:0:' > "$root/etc/group"
echo '127.0.0.1 localhost' > "$root/etc/hosts"
cat > "$root/etc/os-release" <<END
ID=debian
NAME="Debian kernel $release with busybox"
PRETTY_NAME="Debian kernel $release with busybox (vmlab)"
END

step "choosing kernel modules"
modules=lib/modules/$release
mkdir -p "$root/$modules"
"$busybox" depmod -b "$packages" -n "$release" > "$VMLAB_WORK/depmod"
wanted='virtio_pci virtio_mmio virtio_blk virtio_net virtio_console virtio_scsi virtio_balloon virtio-rng
    vmw_vsock_virtio_transport overlay squashfs pvpanic-mmio'
sed -n "s|^\(kernel/[^:]*\.ko\):|\1 |p" "$VMLAB_WORK/depmod" > "$VMLAB_WORK/modules.dep"
for module in $wanted; do
    grep "^[^ ]*/$module\.ko " "$VMLAB_WORK/modules.dep" || fail "kernel $release has no module $module"
done | tr -s ' ' '\n' | grep . | sort -u > "$VMLAB_WORK/closure"
while read -r module; do
    install -D -m 644 "$packages/$modules/$module" "$root/$modules/$module"
done < "$VMLAB_WORK/closure"
cp "$packages/$modules/modules.builtin" "$root/$modules/"
"$busybox" depmod -b "$root" "$release"
for index in dep alias symbols; do
    sort -o "$root/$modules/modules.$index" "$root/$modules/modules.$index"
done

step "packing"
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | sort | cpio --quiet --create --format=newc --reproducible --owner=+0:+0) \
    > "$VMLAB_OUT/initrd"
step "done: kernel $release"
