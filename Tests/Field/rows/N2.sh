# N2: files just written to a disk survive `reboot: true`
# deadline: 45 s
lab <<'END'
lab: reboot
guests: {lin: {image: busybox, disks: [64MiB]}}
tasks:
  - name: write
    on: lin
    run: mke2fs -q /dev/disk/by-id/disk0 2>/dev/null || mkfs.ext2 /dev/disk/by-id/disk0 >/dev/null; mkdir -p /d; mount -t ext4 /dev/disk/by-id/disk0 /d; echo kept > /d/file
    reboot: true
  - {name: read, on: lin, needs: [write], run: mkdir -p /d; mount -t ext4 /dev/disk/by-id/disk0 /d; cat /d/file, expect: {stdout: kept}}
END
lab_run
status_is 0
