# S8: a fleet that can never fit is an error at once
# deadline: 20 s
# quick
lab lab.lua <<'END'
local vmlab = require "vmlab"
local ok, why = pcall(vmlab.boot, {image = "busybox", count = 20})
assert(not ok, "twenty guests in 400 MiB")
END
try run lab.lua --memory 400MiB --out out
status_is 0
