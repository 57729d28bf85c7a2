# A16: a disk whose backing file is missing is found by validate
# deadline: 10 s
# quick
qemu-img create -q -f qcow2 base.qcow2 16M
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2
rm base.qcow2
lab <<'END'
lab: backing
images: {own: {os: linux, disk: ./top.qcow2, console: {dialect: sh, ports: 1, announces: false}}}
guests: {lin: {image: own}}
tasks: [{name: one, on: lin, run: 'true'}]
END
try validate lab.yaml
status_is 2
says 'base.qcow2'
