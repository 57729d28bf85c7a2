# S12: with `nat: true` a guest reaches no service on the host's own 127.0.0.1 but the ports that are open by name
# deadline: 25 s
# quick
python3 - <<'END' &
import os, select, socket, time
closed, opened = socket.socket(), socket.socket()
for listener in closed, opened:
    listener.bind(("127.0.0.1", 0))
    listener.listen()
open("ports.new", "w").write(f"{closed.getsockname()[1]} {opened.getsockname()[1]}\n")
os.rename("ports.new", "ports")
end = time.monotonic() + 60
while time.monotonic() < end:
    for listener in select.select([closed, opened], [], [], 1)[0]:
        listener.accept()[0].sendall(b"opened\n" if listener is opened else b"reached\n")
END
server=$!
eventually test -e ports
read -r closed opened < ports
lab <<END
lab: nat
networks: {net: {nat: true, host: [$opened]}}
guests: {lin: {image: busybox, networks: [net]}}
tasks:
  - {name: one, on: lin, run: 'for h in 10.0.2.2 10.0.2.3; do echo | nc -w 2 \$h $closed || :; done; echo end'}
  - {name: two, on: lin, run: 'echo | nc -w 5 10.0.2.2 $opened'}
END
lab_run
kill $server 2>/dev/null || :
wait $server 2>/dev/null || :
status_is 0
holds_not out/tasks/one/lin/output reached
holds out/tasks/one/lin/output end
holds out/tasks/two/lin/output opened
