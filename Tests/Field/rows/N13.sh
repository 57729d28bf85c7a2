# N13: no word or byte of our own protocol reaches a user
# deadline: 45 s
lab lab.lua <<'END'
local vmlab = require "vmlab"
local g = vmlab.boot{image = "busybox"}
local ok, why = pcall(g.run, g, "echo before; reboot; sleep 30")
print("told: " .. tostring(why))
END
try run lab.lua --out out
says_not 'greetedAgain|VMLAB READY'
grep -rqaE 'greetedAgain|VMLAB READY' out/results.json out/events.jsonl out/tasks 2>/dev/null && wrong "in the results" || :
