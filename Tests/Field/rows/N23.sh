# N23: near misses are told where they are, with what was meant
# deadline: 5 s
# quick
lab <<'END'
lab: near
matrix: {kernel: [a, b], exclude: [{kernal: a}]}
guests: {web: {image: busybox}}
tasks: [{name: one, on: web, run: 'true'}]
END
try validate lab.yaml
status_is 2
says '2:.*kernal'
says 'did you mean `?kernel'
try validate lab.yaml --set guests.wbe.count=3
says 'did you mean'
try help nosuch
status_is 2
