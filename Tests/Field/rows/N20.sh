# N20: a reader that goes away is no trouble
# deadline: 20 s
# quick
lab <<'END'
lab: pipe
guests: {lin: {image: busybox}}
tasks: [{name: one, on: lin, run: 'true'}]
END
"$VMLAB" run lab.yaml --out out 2> said | head -1
[ ! -s said ] || wrong "$(cat said)"
outcome_is one passed
