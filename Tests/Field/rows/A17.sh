# A17: cleanup tasks and collection still happen after Ctrl-C
# deadline: 25 s
# quick
lab <<'END'
lab: cleanup
guests: {lin: {image: busybox}}
tasks:
  - {name: long, on: lin, run: 'echo kept > /root/kept; echo begun; sleep 100', get: [/root/kept]}
  - {name: clean, on: lin, needs: [long], if: always(), run: echo cleaned}
END
begin run lab.yaml --out out
eventually grep -q begun out/tasks/long/lin/output
kill -INT $run
status=0; wait $run || status=$?
status_is 130
outcome_is clean passed
has out/tasks/long/lin/artifacts/kept
