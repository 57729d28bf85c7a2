# A10: a script stops at its first failing line; `shell:` chooses another shell
# deadline: 20 s
# quick
lab <<'END'
lab: first-line
guests: {lin: {image: busybox}}
tasks:
  - {name: stops, on: lin, run: "false\necho reached"}
  - {name: goes-on, on: lin, shell: sh, run: "false\necho reached", expect: {stdout: reached}}
END
lab_run
status_is 1
outcome_is stops failed
outcome_is goes-on passed
holds_not out/tasks/stops/lin/output reached
