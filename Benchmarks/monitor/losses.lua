-- Boots and restores guests by turns, as many rounds as `--arg` says, two at once: one with a single processor and one with two.
-- Prints what became of each: `trial boot 1 ok`, or `trial restore 2` and the error in one line.
local vmlab = require "vmlab"
local rounds = tonumber(vmlab.args[1])

local function trial(kind, how, round, cpus)
  local name, guest = kind .. round .. "x" .. cpus, nil
  local ok, problem = pcall(function()
    guest = vmlab.fleet {
      timeouts = { boot = "2m" },
      guests = { [name] = { image = "busybox", memory = "128MiB", boot = how, cpus = cpus } },
    }[name]
    guest:succeed("(sleep 0.1; cat /proc/interrupts) > /dev/null; echo ready", { timeout = "60s" })
  end)
  if guest then pcall(guest.kill, guest) end
  print("trial " .. kind .. " " .. cpus .. " " .. (ok and "ok" or tostring(problem):gsub("%s*\n%s*", " | ")))
end

for round = 1, rounds do
  for kind, how in pairs { boot = "cold", restore = "clone" } do
    vmlab.each({ 1, 2 }, function(cpus) trial(kind, how, round, cpus) end)
  end
end
