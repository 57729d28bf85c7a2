# N25: a matrix keeps numbers, and a wait that failed shows what it saw last
# deadline: 20 s
# quick
lab lab.lua <<'END'
local vmlab = require "vmlab"
local seen = {}
vmlab.matrix({n = {1, 2}, b = {true}}, function(cell)
  assert(math.type(cell.n) == "integer", "n is a " .. type(cell.n))
  assert(cell.b == true)
end)
local g = vmlab.boot{image = "busybox"}
local ok, why = pcall(g.wait_until, g, "echo not yet; false", {timeout = "2s"})
assert(not ok and tostring(why):find("not yet"), tostring(why))
END
try run lab.lua --out out
status_is 0
