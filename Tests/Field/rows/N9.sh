# N9: a syntax error in Lua is found by validate, where it stands
# deadline: 5 s
# quick
lab <<'END'
lab: lua
guests: {lin: {image: busybox}}
tasks:
  - name: one
    on: lin
    lua: |
      local a = 1
      local b = = 2
  - {name: two, on: lin, run: 'true', expect: {lua: 'return ((('}}
END
try validate lab.yaml
status_is 2
says 'lab.yaml:8:'
says 'lab.yaml:9:'
