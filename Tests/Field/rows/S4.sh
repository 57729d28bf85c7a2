# S4: a NUL in a path is an error, and nothing crashes
# deadline: 15 s
# quick
lab lab.lua <<'END'
local vmlab = require "vmlab"
local g = vmlab.boot{image = "busybox"}
for _, call in ipairs{
  function() g:get("/etc/passwd", "x\0y") end, function() g:get("/etc/pass\0wd") end,
  function() g:put("a\0b", "/root/x") end, function() g:write("/root/\0", "x") end, function() g:read("/root/\0") end,
} do assert(not pcall(call)) end
print(g:succeed("echo alive"))
END
try run lab.lua --out out
status_is 0
