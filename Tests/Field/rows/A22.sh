# A22: what is collected is plain files with plain modes, and no link leads out
# deadline: 20 s
# quick
lab <<'END'
lab: artifacts
guests: {lin: {image: busybox}}
tasks:
  - name: make
    on: lin
    run: |
      mkdir -p /root/out; cd /root/out
      echo text > file; chmod 6777 file; ln -s /proc/cpuinfo cpuinfo; ln -s ../../../../etc up; ln -s file beside
      mknod null c 1 3; mkfifo fifo; mkdir open; chmod 7777 open
    get: [/root/out]
END
lab_run
files=out/tasks/make/lin/artifacts/out
has $files/file
[ -z "$(find $files -perm /7000)" ] || wrong "special modes: $(find $files -perm /7000)"
[ -z "$(find $files ! -type f ! -type d ! -type l)" ] || wrong "devices or pipes"
for link in $(find $files -type l); do
    case $(readlink $link) in /* | *..*) wrong "$link leads to $(readlink $link)" ;; esac
done
