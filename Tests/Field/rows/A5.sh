# A5: kernels of other versions are understood
# deadline: 20 s
# quick
lab <<'END'
lab: versions
guests: {lin: {image: busybox}}
tasks:
  - name: lockdep
    on: lin
    run: |
      echo '<4>WARNING: possible circular locking dependency detected' > /dev/kmsg
  - name: rcu
    on: lin
    run: |
      echo '<4>WARNING: suspicious RCU usage' > /dev/kmsg
  - name: ok
    on: lin
    run: "echo 'refcount_t: this is only text'"
END
lab_run
status_is 1
outcome_is lockdep failed
outcome_is rcu failed
outcome_is ok passed
