# S7: a script that is inside one long call of its library ends at the first Ctrl-C
# deadline: 20 s
# quick
lab lab.lua <<'END'
print("begun")
local _ = ("a"):rep(1e6):find(".-.-.-b")
END
lab move.lua <<'END'
print("begun")
table.move({}, 1, 1 << 60, 2)
END
# Jobs of their own: others ignore SIGINT.
set -m
for script in lab move; do
    begin run $script.lua --out out-$script
    eventually grep -q begun out-$script/events.jsonl
    kill -INT $run
    status=0; wait $run || status=$?
    status_is 130
done
