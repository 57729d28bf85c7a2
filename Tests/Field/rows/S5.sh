# S5: an archive that lies about its size fills no disk
# deadline: 40 s
lab <<'END'
lab: lies
guests: {lin: {image: busybox}}
tasks:
  - name: lie
    on: lin
    timeout: 10s
    run: |
      mkdir /tmp/bin
      cat > /tmp/bin/tar <<'SH'
      #!/bin/busybox sh
      exec busybox dd if=/dev/zero bs=1M count=100000
      SH
      chmod +x /tmp/bin/tar
      mount -o bind /tmp/bin/tar $(readlink -f $(command -v tar)) || true
      truncate -s 8E /root/huge 2>/dev/null || truncate -s 1T /root/huge || true
    get: [/root/huge]
END
lab_run
[ "$(du -sm out | cut -f1)" -lt 200 ] || wrong "$(du -sm out) MiB of results"
