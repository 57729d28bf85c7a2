# N21: each attempt's output is kept
# deadline: 20 s
# quick
lab <<'END'
lab: attempts
guests: {lin: {image: busybox}}
tasks:
  - name: one
    on: lin
    retries: {count: 2, on: any}
    run: 'if [ -e /root/second ]; then echo good; else touch /root/second; echo first-attempt-says; exit 3; fi'
END
lab_run
status_is 0
outcome_is one flaky
grep -rq first-attempt-says out/tasks out/junit.xml || wrong "the first attempt's output is nowhere"
