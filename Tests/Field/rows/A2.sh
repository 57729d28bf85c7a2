# A2: a pattern that would take for ever ends at its task's deadline
# deadline: 15 s
# quick
lab <<'END'
lab: patterns
guests: {lin: {image: busybox}}
tasks:
  - name: nested
    on: lin
    run: "echo 'the quick brown fox jumps over the lazy dog again: fail'"
    expect: {stdout: '^(\w+ ?)+: ok$'}
    timeout: 5s
  - name: quadratic
    on: lin
    run: head -c 50000 /dev/zero | od -An -tx1 -v | tr -d ' \n'
    expect: {stdout: '[0-9a-f]+ done'}
    timeout: 10s
  - {name: after, on: lin, run: echo well, expect: {stdout: well}}
END
lab_run
outcome_is after passed
grep -q '"outcome" : "passed"' out/results.json
[ "$status" = 4 ] || [ "$status" = 1 ] || wrong "status $status"
