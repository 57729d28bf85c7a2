-- A service that comes up only at the third attempt, and a wait for a file that appears late.
local vmlab = require "vmlab"
local guest = vmlab.boot { image = "debian", name = "flaky", memory = "256MiB" }

guest:write("/root/serve", [[
n=$(cat /run/tries 2>/dev/null || echo 0)
echo $((n + 1)) > /run/tries
test $n -ge 2
]])

local tries = vmlab.retry(function(attempt)
  guest:succeed("sh /root/serve")
  return attempt
end, { times = 5, delay = "100ms" })
vmlab.equals(tries, 3)

guest:succeed("(sleep 1; echo ready > /run/late) > /dev/null 2>&1 &")
guest:wait_until("test -s /run/late", { timeout = "20s" })
