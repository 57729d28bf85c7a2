# A11: a stubborn command costs no other task its guest
# deadline: 60 s
lab <<'END'
lab: stubborn
guests: {lin: {image: busybox}}
tasks:
  - {name: ignores, on: lin, run: "trap '' INT TERM HUP; sleep 100", timeout: 3s}
  - {name: after-1, on: lin, run: echo well}
  - {name: stopped, on: lin, run: 'kill -STOP $$', timeout: 3s}
  - {name: after-2, on: lin, run: echo well}
  - {name: bomb, on: lin, run: 'f() { f | f & }; f; sleep 100', timeout: 3s}
  - {name: after-3, on: lin, run: echo well}
END
lab_run
status_is 4
for task in ignores stopped bomb; do outcome_is $task timeout; done
for task in after-1 after-2 after-3; do outcome_is $task passed; done
