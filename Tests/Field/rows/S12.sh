# S12: with `nat: true` a guest does not reach services on the host's own 127.0.0.1
# deadline: 25 s
# quick
python3 - <<'END' &
import socket
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
open("port.new", "w").write(str(listener.getsockname()[1]))
__import__("os").rename("port.new", "port")
listener.settimeout(60)
try:
    connection, _ = listener.accept()
    connection.sendall(b"reached\n")
except OSError:
    pass
END
server=$!
eventually test -e port
lab <<END
lab: nat
networks: {net: {nat: true}}
guests: {lin: {image: debian, networks: [net]}}
tasks: [{name: one, on: lin, run: 'for h in 10.0.2.2 10.0.2.3; do echo | nc -w 2 \$h $(cat port) || :; done; echo end'}]
END
lab_run
kill $server 2>/dev/null || :
wait $server 2>/dev/null || :
status_is 0
holds_not out/tasks/one/lin/output reached
