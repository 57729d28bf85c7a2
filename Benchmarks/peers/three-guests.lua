local vmlab = require "vmlab"
local guests = vmlab.boot { image = "busybox", name = "g", count = 3, memory = "256MiB" }

vmlab.each(guests, function(guest, number)
  vmlab.matches(guest:succeed("uname -sr"), "^Linux 6")
  guest:write("/root/data", ("%d\n"):format(number * 111))
  guest:wait_until("test -s /root/data", { timeout = "10s" })
  vmlab.equals(guest:run("exit 3").exit, 3)
end)

local sum = 0
for _, guest in ipairs(guests) do sum = sum + tonumber(guest:read("/root/data")) end
vmlab.equals(sum, 666)
