# S21: vmlab-vmm alone leaves no socket behind
# deadline: 10 s
# quick
[ -z "$(find "${TMPDIR:-/tmp}" /run -name local -type s -newer "$FIELD/run" 2>/dev/null)" ] || wrong "sockets are left"
