# S15: a full disk is said, with where and how much
# deadline: 20 s
# quick
mkdir small
mount -t tmpfs -o size=1m tmpfs small 2>/dev/null || { echo "needs root to make a full disk"; exit 0; }
trap 'umount small' EXIT
head -c 8M /dev/urandom > big
lab <<'END'
lab: full
guests: {lin: {image: busybox, boot: cold}}
tasks: [{name: one, on: lin, put: {./big: /root/big}, run: ls -l /root/big}]
END
TMPDIR=$PWD/small lab_run
[ "$status" = 0 ] || says '[Nn]o space left'
says_not 'tar: exit status'

# The other way, what a guest writes to a disk of a full host is lost without a word, unless it asks.
rm -rf small/*
lab <<'END'
lab: full-get
guests: {lin: {image: busybox, boot: cold}}
tasks: [{name: one, on: lin, run: head -c 6000000 /dev/urandom >/root/z, get: /root/z}]
END
TMPDIR=$PWD/small lab_run
[ "$status" != 0 ] || wrong "a file that was cut short passed"
says '[Nn]o space left'
