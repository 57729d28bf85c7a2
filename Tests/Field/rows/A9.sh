# A9: files of /proc and /sys, and logs that grow, are collected with their content
# deadline: 25 s
# quick
lab <<'END'
lab: proc
guests: {lin: {image: busybox}}
tasks:
  - name: collect
    on: lin
    run: (i=0; while [ $i -lt 100000 ]; do echo line $i; i=$((i+1)); done) >/root/growing.log 2>&1 &
    get: [/proc/cpuinfo, /sys/kernel/mm/transparent_hugepage/enabled, /proc/self/mounts, /root/growing.log]
END
lab_run
status_is 0
files=out/tasks/collect/lin/artifacts
holds $files/cpuinfo processor
holds $files/enabled never
has $files/growing.log
lab lab.lua <<'END'
local vmlab = require "vmlab"
local lin = vmlab.boot{image = "busybox"}
vmlab.contains(lin:read("/proc/kallsyms"), "start_kernel")
vmlab.contains(lin:read("/sys/kernel/mm/transparent_hugepage/enabled"), "never")
END
try run lab.lua --out script
status_is 0
