# N17: a script whose subtests failed has failed
# deadline: 15 s
# quick
lab lab.lua <<'END'
local vmlab = require "vmlab"
vmlab.subtest("bad", function() vmlab.equals(1, 2) end, {keep_going = true})
END
try run lab.lua --out out
status_is 1
says_not '1/1 +passed|passed +1/1'
[ "$(grep -c '"outcome" : "passed"' out/results.json)" = 0 ] || wrong "something has passed"
lab matrix.lua <<'END'
local vmlab = require "vmlab"
vmlab.matrix({n = {1, 2}}, function(cell) vmlab.equals(cell.n, 1) end)
END
try run matrix.lua --out matrix
status_is 1
says 'matrix +0/1 +failed'
says '1 of 2 subtests failed: n=2'
