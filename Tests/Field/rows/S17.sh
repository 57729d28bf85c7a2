# S17: what guests and files make us write is bounded, and said so
# deadline: 60 s
lab <<'END'
lab: endless
guests: {lin: {image: busybox}}
tasks: [{name: one, on: lin, run: 'yes "$(head -c 1000 /dev/zero | tr "\\0" y)"', timeout: 25s}]
END
lab_run
status_is 4
[ "$(du -sm out | cut -f1)" -lt 150 ] || wrong "$(du -sm out)"
python3 -c 'print("lab: bad\ntasks:\n" + "  - {nme: one, runn: x}\n" * 40000)' > bad.yaml
status=0
"$VMLAB" validate bad.yaml > said 2>&1 || status=$?
status_is 2
[ "$(stat -c %s said)" -lt 200000 ] || wrong "$(stat -c %s said) bytes of errors"
