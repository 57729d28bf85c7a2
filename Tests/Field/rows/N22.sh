# N22: `get` takes patterns
# deadline: 20 s
# quick
lab <<'END'
lab: globs
guests: {lin: {image: busybox}}
tasks:
  - {name: one, on: lin, run: 'echo a > /root/a.log; echo b > /root/b.log; echo c > "/root/c d.log"', get: ['/root/*.log']}
  - {name: none, on: lin, run: 'true', get: ['/root/*.nothing']}
END
lab_run
status_is 1
outcome_is one passed
for file in a.log b.log 'c d.log'; do has "out/tasks/one/lin/artifacts/$file"; done
