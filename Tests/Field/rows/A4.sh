# A4: kernel trouble of the grave kinds fails the task it came in, with its trace; `fail-on: []` turns that off
# deadline: 25 s
# quick
tasks() {
    cat <<'END'
guests: {lin: {image: busybox}}
tasks:
  - name: oops
    on: lin
    run: |
      echo '<1>BUG: kernel NULL pointer dereference, address: 0000000000000010' > /dev/kmsg
      echo '<4>RIP: 0010:some_function+0x20/0x410' > /dev/kmsg
      echo done
  - {name: after, on: lin, run: 'true'}
END
}
{ echo 'lab: trouble'; tasks; } | lab
lab_run
status_is 1
outcome_is oops failed
outcome_is after passed
holds out/junit.xml 'some_function'
holds out/results.json 'some_function'
rm -r out
{ echo 'lab: trouble'; echo 'fail-on: []'; tasks; } | lab
lab_run
status_is 0
