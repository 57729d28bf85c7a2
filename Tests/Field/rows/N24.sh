# N24: errors in Lua have fields and behave as text
# deadline: 15 s
# quick
lab lab.lua <<'END'
local vmlab = require "vmlab"
local g = vmlab.boot{image = "busybox"}
local ok, err = pcall(g.succeed, g, "echo words; exit 7")
assert(not ok and err.exit == 7, "err.exit")
assert(tostring(err):match("7"), "tostring")
assert(err:match("7"), "match")
assert(#("x" .. err) > 1, "concatenation")
END
try run lab.lua --out out
status_is 0
