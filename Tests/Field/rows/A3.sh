# A3: the whole output is judged, or the result says that it was cut
# deadline: 40 s
lab <<'END'
lab: long-output
guests: {lin: {image: busybox}}
tasks:
  - name: last-line
    on: lin
    run: yes 0123456789abcdef | head -c 17825792; echo; echo ALL TESTS PASSED
    expect: {stdout: 'ALL TESTS PASSED'}
  - name: predicate
    on: lin
    run: yes 0123456789abcdef | head -c 17825792; echo; echo FAILED
    expect: {lua: 'return not output:find("FAILED", 1, true)'}
END
lab_run
outcome_is last-line passed
[ "$status" = 1 ] || [ "$status" = 3 ] || wrong "the predicate did not see the last line: status $status"
