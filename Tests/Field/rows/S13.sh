# S13: the processes of guests have no environment of ours and no capabilities
# deadline: 20 s
# quick
lab <<'END'
lab: processes
guests: {lin: {image: busybox}, probe: {image: probe}}
tasks: [{name: one, on: lin, run: 'echo begun; sleep 5'}]
END
FIELD_SECRET=visible begin run lab.yaml --out out
eventually grep -q begun out/tasks/one/lin/output
found=0
for pid in $(pgrep -P $run -f 'qemu-system|vmlab-vmm'); do
    found=$((found + 1))
    ! tr '\0' '\n' < /proc/$pid/environ | grep -q FIELD_SECRET || wrong "the environment of $pid has FIELD_SECRET"
    grep -q '^CapEff:\s*0*$' /proc/$pid/status || wrong "$pid has capabilities: $(grep CapEff /proc/$pid/status)"
done
[ $found = 2 ] || wrong "$found processes of guests"
wait $run
