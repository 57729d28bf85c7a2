# A19: a guest's clock is right after it stood still
# deadline: 25 s
# quick
lab lab.lua <<'END'
local vmlab = require "vmlab"
local lin, other = vmlab.boot{image = "busybox"}, vmlab.boot{image = "busybox"}
lin:pause()
vmlab.sleep("6s")
lin:resume()
local a, b = tonumber(lin:succeed("date +%s")), tonumber(other:succeed("date +%s"))
assert(math.abs(a - b) <= 1, "the clock is " .. (b - a) .. " s behind")
END
try run lab.lua --out out
status_is 0
