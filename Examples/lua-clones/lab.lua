-- Prepare one guest, then clone it: each clone has the original's memory and disks, and an identity of its own.
local vmlab = require "vmlab"
local web = vmlab.boot { image = "debian", name = "web", memory = "128MiB", networks = { "lan" }, disks = { "64MiB" } }

web:write("/srv/data", "prepared once")
web:succeed("echo 00000000000000000000000000000000 > /etc/machine-id; setsid sleep 1000 < /dev/null > /dev/null 2>&1 &")
web:succeed("echo on the disk | dd of=/dev/disk/by-id/disk0 bs=512 conv=sync,fsync 2> /dev/null")

local clones = web:clone(5)
vmlab.equals(#clones, 5)

local fleet = { web, table.unpack(clones) }
local seen = {}
vmlab.each(fleet, function(guest)
  vmlab.equals(guest:read("/srv/data"), "prepared once")
  guest:succeed("pidof sleep")
  vmlab.equals(guest:succeed("head -n 1 /dev/disk/by-id/disk0"), "on the disk")
  vmlab.equals(guest:succeed("hostname"), guest.name)
  -- Identities are unique: none of these values may occur on two guests.
  for _, command in ipairs { "hostname", "cat /etc/machine-id", "cat /proc/sys/kernel/random/uuid", "cat /sys/class/net/*/address | sort -u | tail -n 1" } do
    local answer = guest:succeed(command)
    vmlab.equals(seen[command .. answer], nil, command .. " of " .. guest.name)
    seen[command .. answer] = guest.name
  end
  -- What one guest writes, no other sees.
  guest:write("/srv/own", guest.name)
  guest:succeed("hostname | dd of=/dev/disk/by-id/disk0 bs=512 seek=1 conv=sync,fsync 2> /dev/null")
end)

-- They are on the original's network and find each other by name.
vmlab.each(clones, function(guest)
  vmlab.equals(guest:read("/srv/own"), guest.name)
  vmlab.equals(guest:succeed("dd if=/dev/disk/by-id/disk0 bs=512 skip=1 count=1 2> /dev/null | head -n 1"), guest.name)
  guest:succeed("ping -c 1 -W 10 web")
  web:succeed("ping -c 1 -W 10 " .. guest:address("lan"))
end)
clones[1]:succeed("ping -c 1 -W 10 " .. clones[5].name)

-- A snapshot keeps a state for later, here before something that cannot be undone.
local before = web:snapshot()
web:succeed("rm /srv/data")
local again = before:clone()
vmlab.equals(again:read("/srv/data"), "prepared once")

-- The guest itself can return to it: its later work is lost, its identity stays.
web:restore(before)
vmlab.equals(web:read("/srv/data"), "prepared once")
vmlab.equals(web:succeed("hostname"), "web")
web:succeed("pidof sleep && ping -c 1 -W 10 " .. clones[1].name)
clones[1]:succeed("ping -c 1 -W 10 web")
