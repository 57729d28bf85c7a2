# S2: without --trust a script sees its own folder, and variables that were granted
# deadline: 20 s
# quick
echo secret > ../secret-of-$$
trap 'rm -f ../secret-of-$$' EXIT
lab lab.lua <<END
local vmlab = require "vmlab"
local g = vmlab.boot{image = "busybox"}
for _, path in ipairs{"/etc/shadow", "../secret-of-$$", "/etc/hostname"} do
  assert(not pcall(g.put, g, path, "/root/x"), path .. " was read")
  assert(not pcall(vmlab.lab, path), path .. " was read")
end
assert(vmlab.env.FIELD == nil, "the environment is seen")
END
try run lab.lua --out out
status_is 0
lab lab.lua <<'END'
local vmlab = require "vmlab"
assert(vmlab.env.FIELD ~= nil, "a granted variable is not seen")
END
try run lab.lua --env FIELD --out granted
status_is 0
