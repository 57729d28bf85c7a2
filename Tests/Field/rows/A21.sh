# A21: keys that begin with x- are the author's own
# deadline: 5 s
# quick
lab <<'END'
lab: own-keys
x-common: &common {timeout: 30s}
guests: {lin: {image: busybox}}
tasks: [{<<: *common, name: one, on: lin, run: 'true'}]
END
try validate lab.yaml
status_is 0
