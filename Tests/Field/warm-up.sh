# Boots each kind of guest that the rows use once, so that all of them are clones of goldens then.
lab <<'END'
lab: warm-up
guests: {lin: {image: busybox}, win: {image: wine}, two: {image: busybox, disks: [64MiB]}}
tasks: [{name: up, on: [lin, two], run: 'true'}, {name: up-too, on: win, run: ver}]
END
try run lab.yaml --out out
status_is 0
