# A15: a disk of another format is never taken for raw
# deadline: 30 s
head -c 16M /dev/zero > content.raw
printf 'the content' | dd of=content.raw conv=notrunc status=none
for format in vmdk vdi vpc vhdx; do
    qemu-img convert -O $format content.raw disk.$format
    lab <<END
lab: foreign
guests: {lin: {image: busybox, disks: [./disk.$format]}}
tasks: [{name: one, on: lin, run: head -c 11 /dev/disk/by-id/disk0, expect: {stdout: the content}}]
END
    try run lab.yaml --out out-$format
    [ "$status" = 0 ] || { status_is 2; says 'qemu-img convert'; }
done
