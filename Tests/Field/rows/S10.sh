# S10: a second signal within a second is the same request
# deadline: 25 s
# quick
lab <<'END'
lab: signals
guests: {lin: {image: busybox}}
tasks:
  - {name: long, on: lin, run: 'echo begun; sleep 100'}
  - {name: clean, on: lin, needs: [long], if: always(), run: 'sleep 2; echo cleaned'}
END
begin run lab.yaml --out out
eventually grep -q begun out/tasks/long/lin/output
kill -INT $run; kill -INT $run
status=0; wait $run || status=$?
status_is 130
outcome_is clean passed
