-- Guests are kept and go on as others: with what is mounted, what was written to disks of each kind, processes and timers.
local vmlab = require "vmlab"

local trouble = "BUG:|WARNING: CPU|Oops|Call Trace|soft lockup|self-detected stall|I/O error"

local function seconds(guest) return tonumber(guest:succeed("cut -d' ' -f1 /proc/uptime")) end

-- Everything that a guest had before it was kept goes on, and nothing stood still but its clock.
local function check(guest, cpus, since)
  vmlab.equals(guest:succeed("nproc"), tostring(cpus))
  local uptime = seconds(guest)
  assert(uptime >= since and uptime < since + 900, guest.name .. " is up for " .. uptime .. " s after " .. since .. " s")
  -- Timers ring on each processor, and processes go on.
  for cpu = 0, cpus - 1 do
    guest:succeed("taskset " .. (1 << cpu) .. " sh -c 'before=$(cut -d. -f1 /proc/uptime); sleep 2; "
      .. "after=$(cut -d. -f1 /proc/uptime); test $((after - before)) -ge 1'")
  end
  guest:succeed("before=$(cat /tmp/count); sleep 1; test $(cat /tmp/count) -gt $before")
  -- A file system on a disk of the guest's own, which was mounted all the time; its cache and what is on the disk.
  vmlab.equals(guest:succeed("cat /mnt/file"), "mounted")
  guest:succeed("echo 3 > /proc/sys/vm/drop_caches; cmp /mnt/random /tmp/random")
  guest:succeed("echo " .. guest.name .. " > /mnt/own && sync && echo 3 > /proc/sys/vm/drop_caches")
  vmlab.equals(guest:succeed("cat /mnt/own"), guest.name)
  -- A disk that is a file of the lab's, which nobody may change: written to in the middle.
  vmlab.equals(guest:succeed("head -c 8 /dev/disk/by-id/disk1"), "bottomed")
  vmlab.equals(guest:succeed("dd if=/dev/disk/by-id/disk1 bs=4096 skip=16 count=1 2> /dev/null | head -c 7"), "written")
  vmlab.equals(guest:succeed("dd if=/dev/disk/by-id/disk1 bs=512 skip=136 count=1 2> /dev/null | head -c 8"), "bottomed")
  guest:succeed("echo " .. guest.name .. " | dd of=/dev/disk/by-id/disk1 bs=512 seek=200 conv=notrunc,fsync 2> /dev/null")
  guest:succeed("! dmesg | grep -E '" .. trouble .. "'")
end

local function prepare(cpus)
  local guest = vmlab.boot {
    image = "busybox", name = "cpus" .. cpus, cpus = cpus, memory = "128MiB", boot = "cold", networks = { "lan" },
    disks = { "8MiB", "bottom.raw" },
  }
  guest:succeed("mke2fs -q /dev/disk/by-id/disk0 && mkdir -p /mnt && mount /dev/disk/by-id/disk0 /mnt")
  guest:succeed("echo mounted > /mnt/file; dd if=/dev/urandom of=/tmp/random bs=1M count=1 2> /dev/null; cp /tmp/random /mnt; sync")
  guest:succeed("echo written | dd of=/dev/disk/by-id/disk1 bs=4096 seek=16 conv=notrunc,fsync 2> /dev/null")
  guest:succeed("(i=0; while :; do i=$((i + 1)); echo $i > /tmp/next; mv /tmp/next /tmp/count; sleep 0.1; done) < /dev/null > /dev/null 2>&1 &")
  return guest
end

-- A clone is kept, and goes back to what it was; what its original has gone, it does not need. One that is reset boots.
local function keep(clone, since)
  local kept = clone:snapshot()
  clone:succeed("echo later > /mnt/own; echo later > /tmp/later; sync")
  clone:restore(kept)
  clone:succeed("test ! -e /tmp/later")
  vmlab.equals(clone:succeed("cat /mnt/own"), clone.name)
  clone:kill()
  local child = kept:clone()
  vmlab.equals(child:succeed("cat /mnt/own"), clone.name)
  vmlab.equals(child:succeed("dd if=/dev/disk/by-id/disk1 bs=512 skip=200 count=1 2> /dev/null | head -n 1"), clone.name)
  check(child, 2, since)
  child:reboot()
  child:succeed("test ! -e /tmp/count && mount /dev/disk/by-id/disk0 /mnt")
  vmlab.equals(child:succeed("cat /mnt/own"), child.name)
end

for cpus = 1, 2 do
  vmlab.subtest("processors: " .. cpus, function()
    local guest = prepare(cpus)
    local since = seconds(guest)
    local clone = guest:clone()
    vmlab.each({ guest, clone }, function(each) check(each, cpus, since) end)
    -- They are peers on a network.
    clone:succeed("ping -c 1 -W 10 " .. guest.name)
    guest:succeed("ping -c 1 -W 10 " .. clone.name)
    guest:kill()
    if cpus == 1 then clone:kill() else keep(clone, since) end
  end)
end
