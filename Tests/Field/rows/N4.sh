# N4: one panic costs one run
# deadline: 40 s
lab <<'END'
lab: panics
guests: {lin: {image: busybox, count: 2}}
tasks:
  - name: some
    on: any lin
    repeat: 8
    reset: snapshot
    run: |
      case $VMLAB_INDEX in 2 | 3 | 5) echo c > /proc/sysrq-trigger; sleep 60 ;; esac
      echo fine
END
lab_run
status_is 3
python3 - <<'END' || wrong "not 5 passed and 3 panicked"
import json
counts = json.load(open("out/results.json"))["counts"]
assert counts["passed"] == 5 and counts["panicked"] == 3, counts
END
