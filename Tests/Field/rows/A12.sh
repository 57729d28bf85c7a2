# A12: a disk that cannot boot and a kernel that says nothing are told by name, long before the boot deadline
# deadline: 60 s
truncate -s 16M blank.raw
lab <<'END'
lab: blank
images: {empty: {os: linux, disk: ./blank.raw, console: {dialect: sh, ports: 1, announces: false}}}
guests: {lin: {image: empty}}
timeouts: {boot: 10m}
tasks: [{name: one, on: lin, run: 'true'}]
END
lab_run
status_is 3
says '[Nn]o bootable'
