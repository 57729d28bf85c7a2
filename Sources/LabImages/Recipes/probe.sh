#!/bin/bash
# The `probe` image: a kernel of its own of about 100 KB, in Embedded Swift and a little assembly, that boots in milliseconds
# on any /dev/kvm and speaks vmlab's dialects. For labs about vmlab itself: fleets, failures, networks, disks.
#
# tools: swiftc=swiftlang clang=clang ld.lld=lld
# version: 1
# memory: 32MiB
# minimum-memory: 32MiB
# freestanding: yes
#
# No operating system is in it, so no packages. README.md says how it is made; the driver's variables are as in busybox.sh.
set -euo pipefail
umask 022
export LC_ALL=C
cd "$VMLAB_WORK"

echo "step: compiling"
sources=()
for name in probe-text.swift probe-shell.swift probe-posix.swift probe-cmd.swift probe-commands.swift \
    probe-storage.swift probe-session.swift probe-message.swift probe-memory.swift probe-ports.swift \
    probe-virtio.swift probe-devices.swift probe-machine.swift probe-main.swift; do
    sources+=("$VMLAB_FILES/$name")
done
clang -target x86_64-unknown-none-elf -c "$VMLAB_FILES/probe-start.S" -o start.o >&2
swiftc -target x86_64-unknown-none-elf -enable-experimental-feature Embedded -swift-version 6 -wmo -Osize \
    -parse-as-library -module-name probe -import-objc-header "$VMLAB_FILES/probe-hardware.h" \
    -Xcc -fno-pic -Xcc -mcmodel=kernel -Xfrontend -function-sections -Xfrontend -disable-stack-protector \
    -c -o swift.o "${sources[@]}" >&2

echo "step: linking"
# What nothing uses does not get in.
ld.lld -static --gc-sections --strip-all -z noexecstack --script="$VMLAB_FILES/probe-link.ld" \
    -o "$VMLAB_OUT/kernel" start.o swift.o >&2
