# A8: late output of a background process is never another task's
# deadline: 20 s
# quick
lab <<'END'
lab: late
guests: {lin: {image: debian}}
tasks:
  - {name: first, on: lin, run: "(sleep 1; echo 'RESULT: PASS') &"}
  - {name: second, on: lin, run: sleep 3, expect: {stdout: 'RESULT: PASS'}}
END
lab_run
status_is 1
outcome_is second failed
