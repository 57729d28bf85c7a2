# A1: several files in one call run, each with results of its own
# deadline: 30 s
# quick
mkdir other
for name in a b; do
    lab $name.yaml <<END
lab: $name
guests: {lin: {image: busybox}}
tasks: [{name: one, on: lin, run: echo $name}]
END
done
cp a.yaml other/a.yaml
lab c.lua <<'END'
local vmlab = require "vmlab"
vmlab.boot{image = "busybox"}:succeed("true")
END
try run a.yaml b.yaml c.lua other/a.yaml --out results
status_is 0
[ "$(find results -name results.json | wc -l)" = 4 ] || wrong "not four results.json under results/"
