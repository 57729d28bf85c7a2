# What the rows share: files from standard input, a run of vmlab with its status and words, and what is expected of them.
set -eu

# lab [FILE]: the lab (or script) that follows on standard input.
lab() { cat > "${1:-lab.yaml}"; }

# try ARGUMENTS...: runs vmlab; its words are then in $text, its exit status in $status.
try() {
    status=0
    text=$("$VMLAB" "$@" 2>&1) || status=$?
    printf '$ vmlab %s\n%s\n(status %s)\n' "$*" "$text" "$status"
}

# begin ARGUMENTS...: starts vmlab as a terminal would, with its process in $run; in the background a shell has SIGINT ignored.
begin() { env --default-signal=INT "$VMLAB" "$@" & run=$!; }

# lab_run ARGUMENTS...: runs lab.yaml with its results in out/.
lab_run() { try run lab.yaml --out out "$@"; }

wrong() { echo "WRONG: $*"; exit 1; }
status_is() { [ "$status" = "$1" ] || wrong "the status is $status, not $1"; }
says() { grep -qE -e "$1" <<< "$text" || wrong "it does not say: $1"; }
says_not() { ! grep -qE -e "$1" <<< "$text" || wrong "it says: $1"; }
has() { [ -e "$1" ] || wrong "$1 is not there"; }
has_not() { [ ! -e "$1" ] && [ ! -L "$1" ] || wrong "$1 is there"; }
holds() { grep -qE -e "$2" "$1" || wrong "$1 does not hold: $2"; }
holds_not() { ! grep -qaE -e "$2" "$1" || wrong "$1 holds: $2"; }

# outcome_is TASK OUTCOME [RESULTS]: what results.json says of a task's only run.
outcome_is() {
    local found
    found=$(python3 - "$1" "${3:-out}/results.json" <<'PY'
import json, sys
print(" ".join(t["outcome"] for t in json.load(open(sys.argv[2]))["tasks"] if t["task"] == sys.argv[1]))
PY
    )
    [ "$found" = "$2" ] || wrong "task $1 is '$found', not '$2'"
}

# eventually COMMAND...: waits until the command succeeds; the row's deadline ends it.
eventually() { until "$@" 2> /dev/null; do read -rt 0.1 <> <(:) || :; done; }
