# S3: patterns on long lines end
# deadline: 25 s
# quick
lab <<'END'
lab: long-lines
guests: {lin: {image: busybox}}
tasks:
  - {name: a, on: lin, run: "head -c 200000 /dev/zero | tr '\\0' x", expect: {stdout: '.*done'}, timeout: 5s}
  - {name: b, on: lin, run: "head -c 300000 /dev/zero | tr '\\0' a", expect: {stdout: 'a*b'}, timeout: 5s}
  - {name: c, on: lin, run: "head -c 100 /dev/zero | tr '\\0' a; echo b", expect: {stdout: '^(a+)+$'}, timeout: 5s}
END
lab_run
[ "$status" = 1 ] || [ "$status" = 4 ] || wrong "status $status"
