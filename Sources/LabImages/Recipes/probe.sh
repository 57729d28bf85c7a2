#!/bin/bash
# The `probe` image: a kernel of tens of KiB, in Embedded Swift and a little assembly, that boots in milliseconds under
# vmlab's own monitor and speaks its dialects. For labs about vmlab itself: fleets, failures, networks, disks.
#
# tools: swiftc=swiftlang clang=clang ld.lld=lld
# version: 1
# memory: 32MiB
# minimum-memory: 32MiB
# freestanding: yes
#
# No operating system is in it, so no packages; without SSE, as no kernel of this size saves its registers.
set -euo pipefail
umask 022
export LC_ALL=C
cd "$VMLAB_WORK"

sources=()
for name in probe-main.swift probe-bytes.swift probe-ports.swift probe-interrupts.swift \
    probe-lines.swift probe-session.swift probe-parser.swift probe-shell.swift probe-batch.swift \
    probe-programs.swift probe-virtio.swift probe-disk.swift probe-network.swift; do
    sources+=("$VMLAB_FILES/$name")
done

echo "step: compiling"
swiftc -target x86_64-unknown-none-elf -swift-version 6 -enable-experimental-feature Embedded \
    -wmo -parse-as-library -O -Xcc -mno-sse -Xcc -mno-mmx -Xcc -msoft-float -Xcc -mno-red-zone \
    -Xcc -ffreestanding -Xfrontend -function-sections -Xfrontend -disable-stack-protector \
    -import-objc-header "$VMLAB_FILES/probe-machine.h" -module-name Probe -c "${sources[@]}" -o probe.o >&2
clang -target x86_64-unknown-none-elf -c "$VMLAB_FILES/probe-start.S" -o start.o >&2
echo "step: linking"
ld.lld --image-base=0x100000 -e _start --gc-sections -z noexecstack -z max-page-size=4096 --strip-debug \
    start.o probe.o -o "$VMLAB_OUT/kernel" >&2
