# S1: nothing outside the results is opened for writing
# deadline: 20 s
# quick
mkdir victim
lab lab.lua <<END
local vmlab = require "vmlab"
local g = vmlab.boot{image = "busybox"}
g:succeed("ln -s $PWD/victim /root/logs; echo bad > /root/job")
pcall(g.get, g, "/root/logs")
pcall(g.get, g, "/root/job", "logs/")
pcall(g.get, g, "/root/job", "../../victim/")
pcall(g.get, g, "/root/job", "$PWD/victim/")
END
try run lab.lua --out out
[ -z "$(ls victim)" ] || wrong "written: $(ls victim)"
