# S23: results that vanish in mid-run are an error
# deadline: 20 s
# quick
lab <<'END'
lab: vanish
guests: {lin: {image: busybox}}
tasks: [{name: one, on: lin, run: 'echo begun; sleep 3; echo end'}]
END
begin run lab.yaml --out out
eventually grep -q begun out/tasks/one/lin/output
rm -r out
status=0; wait $run || status=$?
status_is 3
