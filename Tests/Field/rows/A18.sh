# A18: line ends and byte-order marks of text are no error, and a first line `#!` is obeyed
# deadline: 20 s
# quick
printf '\xef\xbb\xbfif true; then\r\n  echo one\r\nfi\r\n' > crlf.sh
printf '#!/bin/busybox awk -f\nBEGIN { print "two" }\n' > shebang
lab <<'END'
lab: scripts
guests: {lin: {image: busybox}}
tasks:
  - {name: crlf, on: lin, script: ./crlf.sh, expect: {stdout: '^one$'}}
  - {name: shebang, on: lin, script: ./shebang, expect: {stdout: '^two$'}}
END
lab_run
status_is 0
