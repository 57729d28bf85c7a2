# A6: a panic is believed when the guest also stops, and then at once
# deadline: 30 s
# quick
lab <<'END'
lab: words
guests: {lin: {image: busybox}, other: {image: busybox}}
tasks:
  - name: words
    on: lin
    run: |
      echo 'Kernel panic - not syncing: test' > /dev/console
      echo '<0>Kernel panic - not syncing: test' > /dev/kmsg
      sleep 2
      echo alive
    expect: {stdout: alive}
  - {name: after, on: lin, run: echo still here}
  - {name: real, on: other, run: echo c > /proc/sysrq-trigger}
END
lab_run
status_is 3
outcome_is words passed
outcome_is after passed
outcome_is real panicked
