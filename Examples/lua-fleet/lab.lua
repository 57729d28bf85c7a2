-- Six guests from one line; all are asked for their names at the same time.
local vmlab = require "vmlab"
local fleet = vmlab.boot { image = "debian", name = "node", count = 6, memory = "128MiB" }

local names = vmlab.each(fleet, function(guest)
  return guest:succeed("hostname")
end)
for number, name in ipairs(names) do vmlab.equals(name, "node-" .. number) end

-- Two at a time, for work that would compete for the processors.
vmlab.each(fleet, function(guest) guest:succeed("dd if=/dev/zero bs=1M count=8 2>/dev/null | sha256sum") end, { limit = 2 })
fleet[1]:kill()
vmlab.raises(function() fleet[1]:succeed("true") end, "ended")
