-- One guest that boots, then clones of a golden one after the other, the last of which stays a while for a look at its memory.
local vmlab = require "vmlab"

local function boot(name, how)
  local guest = vmlab.boot { image = "busybox", name = name, memory = "128MiB", boot = how }
  guest:succeed("true")
  return guest
end

boot("cold", "cold"):kill()
boot("first", "clone"):kill()  -- the golden is made for it
for number = 1, 5 do
  local clone = boot("clone-" .. number, "clone")
  if number == 5 then vmlab.sleep("6s") end
  clone:kill()
end
