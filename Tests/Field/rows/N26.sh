# N26: in 60 columns the outcome of a long task is still seen
# deadline: 20 s
# quick
lab <<'END'
lab: narrow
guests: {lin: {image: busybox}}
tasks:
  - {name: a-task-with-a-name-that-is-as-long-as-a-name-can-be-in-a-lab, on: lin, run: 'exit 3'}
END
status=0
text=$(COLUMNS=60 script -qec "stty cols 60 rows 24; '$VMLAB' run lab.yaml --out out" /dev/null) || status=$?
status_is 1
says 'failed'
