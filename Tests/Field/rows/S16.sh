# S16: what cannot be written to standard output is an error
# deadline: 10 s
# quick
lab <<'END'
lab: full
guests: {lin: {image: busybox}}
tasks: [{name: one, on: lin, run: 'true'}]
END
for verb in 'validate lab.yaml' 'plan lab.yaml' schema 'images list' doctor; do
    status=0
    "$VMLAB" $verb > /dev/full 2> said || status=$?
    [ "$status" != 0 ] || wrong "vmlab $verb > /dev/full: status 0"
done
