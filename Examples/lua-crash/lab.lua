-- The script makes a guest panic and expects it to; its console can still be read, and another guest takes its place.
local vmlab = require "vmlab"
local first = vmlab.boot { image = "debian", name = "first", memory = "256MiB" }
first:succeed("echo precious > /root/data && sync")
local saved = first:read("/root/data")

local message = vmlab.raises(function()
  first:succeed("echo c > /proc/sysrq-trigger; sleep 60")
end, "(?i)panic|crash")
vmlab.log("as expected:", message)
vmlab.contains(first.console, "sysrq")

local second = vmlab.boot { image = "debian", name = "second", memory = "256MiB" }
second:write("/root/data", saved)
vmlab.equals(second:succeed("cat /root/data"), "precious")
