-- Each combination of block size and reserve is a subtest with its own result; one that fails does not stop the others.
local vmlab = require "vmlab"
local guest = vmlab.boot { image = "debian", name = "disks", memory = "256MiB", disks = { "64MiB" } }
local disk = "/dev/disk/by-id/disk0"

local axes = { block = { 1024, 4096 }, reserve = { 0, 5 }, exclude = { { block = 1024, reserve = 5 } } }
local cells = vmlab.matrix(axes, function(cell)
  guest:succeed(("busybox mke2fs -F -b %s -m %s %s > /dev/null"):format(cell.block, cell.reserve, disk))
  guest:succeed("mkdir -p /mnt/disk && mount " .. disk .. " /mnt/disk")
  vmlab.equals(tonumber(guest:succeed("stat -f -c %S /mnt/disk")), cell.block)
  guest:succeed("umount /mnt/disk")
end)
vmlab.equals(#cells, 3)
