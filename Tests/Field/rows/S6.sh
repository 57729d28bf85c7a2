# S6: what root collects from a guest is as plain as what others collect
# deadline: 20 s
# quick
lab <<'END'
lab: as-root
guests: {lin: {image: busybox}}
tasks:
  - name: make
    on: lin
    run: mkdir -p /root/out; cp /bin/busybox /root/out/su; chmod 4755 /root/out/su; ln -s /etc/shadow /root/out/out; mknod /root/out/sda b 8 0
    get: [/root/out]
END
lab_run
files=out/tasks/make/lin/artifacts/out
has $files/su
[ -z "$(find $files -perm /7000)" ] || wrong "setuid"
[ -z "$(find $files -type b)" ] || wrong "a device"
[ "$(readlink $files/out || :)" != /etc/shadow ] || wrong "a link to /etc/shadow"
