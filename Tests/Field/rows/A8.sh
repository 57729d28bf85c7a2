# A8: late output of a background process is never another task's
# deadline: 30 s
# quick
lab <<'END'
lab: late
guests: {lin: {image: busybox}, win: {image: wine}}
tasks:
  - {name: first, on: lin, run: "(sleep 1; echo 'RESULT: PASS') &"}
  - {name: second, on: lin, run: sleep 3, expect: {stdout: 'RESULT: PASS'}}
  - {name: start, on: win, run: 'start /b cmd /c "ping -n 3 127.0.0.1 >nul & echo RESULT: PASS"'}
  - {name: later, on: win, run: ping -n 6 127.0.0.1 >nul, expect: {stdout: 'RESULT: PASS'}}
  - {name: after, on: win, run: echo well, expect: {stdout: '^well'}}
END
lab_run
status_is 1
for task in second later; do outcome_is $task failed; done
for task in first start after; do outcome_is $task passed; done
