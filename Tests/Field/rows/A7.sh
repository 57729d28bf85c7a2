# A7: output is on disk within a second, and stays there when vmlab is killed
# deadline: 20 s
# quick
lab <<'END'
lab: live
guests: {lin: {image: busybox}}
tasks: [{name: slow, on: lin, run: 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; sleep 1; done'}]
END
begin run lab.yaml --out out
eventually grep -q 'line 2' out/tasks/slow/lin/output
! grep -q 'line 12' out/tasks/slow/lin/output || wrong "the output came at the end"
kill -9 $run
wait $run || :
holds out/tasks/slow/lin/output 'line 2'
eventually test -z "$(pgrep -f "$PWD" || :)"
"$VMLAB" gc
