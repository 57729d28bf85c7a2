#!/bin/bash
# A guest of vmlab's own without any operating system, in Embedded Swift: the `probe` image.
#
# packages:
# tools: swiftc=swift clang=clang ld.lld=lld
# version: 1
# cmdline: console=ttyS0
# memory: 32MiB
# minimum-memory: 32MiB
# freestanding: yes
#
# probe.md says what it is for and how it is made; the driver's variables are as in debian.sh.
set -euo pipefail

echo "step: compiling"
cd "$VMLAB_WORK"
clang -target x86_64-unknown-none-elf -c "$VMLAB_FILES/probe-start.S" -o start.o
sources='probe-Text.swift probe-Shell.swift probe-POSIX.swift probe-Cmd.swift probe-Message.swift probe-Commands.swift
    probe-Storage.swift probe-Session.swift probe-Memory.swift probe-Ports.swift probe-Virtio.swift probe-Devices.swift
    probe-Machine.swift probe-Main.swift'
# What nothing uses does not get in.
swiftc -target x86_64-unknown-none-elf -enable-experimental-feature Embedded -swift-version 6 -wmo -Osize \
    -parse-as-library -module-name probe -import-objc-header "$VMLAB_FILES/probe-hardware.h" \
    -Xcc -fno-pic -Xcc -mcmodel=kernel -Xfrontend -function-sections -Xfrontend -disable-stack-protector \
    -c -o swift.o $(printf "$VMLAB_FILES/%s " $sources)

echo "step: linking"
ld.lld -static --gc-sections --strip-all -z noexecstack --script="$VMLAB_FILES/probe-link.ld" \
    -o "$VMLAB_OUT/kernel" start.o swift.o
echo "step: done"
