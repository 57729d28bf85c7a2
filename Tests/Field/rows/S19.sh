# S19: the memory of a run does not grow with what is finished
# deadline: 120 s
peak() { # REPETITIONS: the largest resident memory of a run of so many tasks, in KiB
    lab <<END
lab: flat
guests: {p: {image: probe, count: 2}}
tasks: [{name: t, on: p, repeat: $1, run: echo hello}]
END
    rm -rf out
    python3 - "$VMLAB" <<'END'
import resource, subprocess, sys
subprocess.run([sys.argv[1], "run", "lab.yaml", "--out", "out"], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
END
}
few=$(peak 500) many=$(peak 5000)
[ $((many - few)) -lt 16384 ] || wrong "9000 more tasks took $((many - few)) KiB more"
