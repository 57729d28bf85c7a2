#!/bin/bash
# vmlab's agent for a Linux that knows nothing of it, as a disk from which agent-install.sh takes it.
#
# packages: busybox-static
# tools: dpkg-deb=dpkg tar=tar cc=gcc strip=binutils od=coreutils
#
# VMLAB_DEBS has busybox-static; the driver also sets VMLAB_FILES (this folder), VMLAB_WORK (an empty scratch folder) and VMLAB_OUT,
# where agent.img goes: in its first sector the line `vmlab-agent BUSYBOX ARCHIVE`, the sectors of what follows; then busybox, and an
# archive of the rest. So a guest needs `dd` and nothing else. The same packages always give the same bytes.
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022

step() { echo "step: $*"; }
fail() { echo "agent.sh: $*" >&2; exit 1; }
only() { [ $# = 1 ] && [ -e "$1" ] || fail "expected one file, found: $*"; echo "$1"; }

step "unpacking busybox"
dpkg-deb -x "$(only "$VMLAB_DEBS"/busybox-static_*.deb)" "$VMLAB_WORK/packages"
busybox=$(only "$(find "$VMLAB_WORK/packages" -type f -path "*bin/busybox")")

step "making vmlab's programs"
root=$VMLAB_WORK/root home=$VMLAB_WORK/root/usr/lib/vmlab
mkdir -p "$home"
for tool in "$VMLAB_FILES"/{vmlab-identity.c,vmlab-files.c}; do
    cc -static -nostdlib -ffreestanding -fno-stack-protector -fno-pic -no-pie -fno-asynchronous-unwind-tables -Os -Wall \
        -Wl,--build-id=none,-z,noseparate-code -o "$home/$(basename "$tool" .c)" "$tool" >&2
    strip -R .comment -R .note.gnu.property "$home/$(basename "$tool" .c)"
done
install -m 755 "$VMLAB_FILES/session.sh" "$home/session"
install -m 755 "$VMLAB_FILES/vmlab-agent.sh" "$home/agent"
install -m 644 "$VMLAB_FILES"/vmlab-{agent,booted}.service "$home/"

step "packing"
archive=$VMLAB_WORK/agent.tar image=$VMLAB_OUT/agent.img
tar -C "$root" --sort=name --owner=0 --group=0 --mtime=@0 --format=ustar -cf "$archive" usr
sectors() { echo $((($(stat -c %s "$1") + 511) / 512)); }
{
    printf '%-511s\n' "vmlab-agent $(sectors "$busybox") $(sectors "$archive")"
    dd if="$busybox" bs=512 conv=sync status=none
    dd if="$archive" bs=512 conv=sync status=none
} > "$image"
step "done"
