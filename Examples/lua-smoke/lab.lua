-- A smoke test of a kernel: does it boot, and see its processors and its memory, without complaints in its log?
local vmlab = require "vmlab"
local guest = vmlab.boot { image = "debian", name = "kernel", cpus = 2, memory = "512MiB" }

vmlab.subtest("version", function()
  vmlab.matches(guest:succeed("uname -r"), [[^\d+\.\d+]])
end)

vmlab.subtest("processors", function()
  vmlab.equals(guest:succeed("nproc"), "2")
end)

vmlab.subtest("memory", function()
  local kib = tonumber(guest:succeed("awk '/MemTotal/ {print $2}' /proc/meminfo"))
  assert(kib > 400 * 1024 and kib <= 512 * 1024, "the guest has " .. kib .. " KiB")
end)

vmlab.subtest("no complaints", function()
  guest:fail("dmesg | grep -E 'BUG:|Oops|Call Trace'")
end)
