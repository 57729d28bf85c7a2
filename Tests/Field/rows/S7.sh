# S7: a script that is inside one long call of its library ends at the first Ctrl-C
# deadline: 20 s
# quick
lab lab.lua <<'END'
print("begun")
local _ = ("a"):rep(1e6):find(".-.-.-b")
END
begin run lab.lua --out out
eventually grep -q begun out/events.jsonl
kill -INT $run
status=0; wait $run || status=$?
status_is 130

# A call that nothing could end is an error at once.
lab move.lua <<'END'
table.move({}, 1, 1 << 60, 2)
END
try run move.lua --out out-move
status_is 1
says 'too many elements'
