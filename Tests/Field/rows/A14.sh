# A14: holes stay holes both ways
# deadline: 30 s
truncate -s 400M holes
printf end | dd of=holes bs=1 seek=419430397 conv=notrunc status=none
lab <<'END'
lab: sparse
guests: {lin: {image: busybox}}
tasks:
  - {name: one, on: lin, put: {./holes: /root/holes}, run: 'tail -c 3 /root/holes; test $(du -k /root/holes | cut -f1) -lt 1000', get: [/root/holes]}
END
lab_run
status_is 0
back=out/tasks/one/lin/artifacts/holes
cmp holes $back
[ "$(du -k $back | cut -f1)" -lt 1000 ] || wrong "the copy is filled"
