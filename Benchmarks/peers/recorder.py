#!/usr/bin/env python3
"""Stands where QEMU is looked for, starts the real one, and writes down what goes over the guest's command channel.

`VMLAB_RECORD` is the folder for the recordings, one file a guest: JSON lines, first the arguments, then one line for each piece
that was typed or heard. Played back to another clone of the same golden, they have it do the very same.
"""
import ctypes, json, os, select, signal, socket, subprocess, sys

COMMANDS, KEYS = 5, 6
REAL = os.environ["VMLAB_REAL_QEMU"]


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main():
    arguments = sys.argv[1:]
    ports = {COMMANDS: "heard"}
    if any(word.startswith("socket,id=keys") for word in arguments):
        ports[KEYS] = "typed"
    # vmlab's end of each port, and the one that the real QEMU will have under another number.
    pairs = {}
    for number in ports:
        ours, theirs = socket.socketpair()
        pairs[socket.socket(fileno=os.dup(number))] = ours
        os.dup2(theirs.fileno(), number, inheritable=True)
        theirs.close()
    kept = [3, 4, *ports] + [7] * ("-incoming" in arguments)
    with open(f"{os.environ['VMLAB_RECORD']}/{os.getpid()}", "w", buffering=1) as record:
        record.write(json.dumps({"arguments": arguments}) + "\n")
        qemu = subprocess.Popen([REAL, *arguments], pass_fds=kept, preexec_fn=die_with_parent)
        for number in kept:
            os.close(number)
        other = {**pairs, **{theirs: ours for ours, theirs in pairs.items()}}
        while other:
            for port in select.select(list(other), [], [])[0]:
                data = port.recv(65536)
                if not data:
                    # One end is gone, so the other goes too.
                    for end in (port, other[port]):
                        other.pop(end, None)
                        end.shutdown(socket.SHUT_RDWR)
                    break
                record.write(json.dumps({"typed" if port in pairs else "heard": data.hex()}) + "\n")
                other[port].sendall(data)
    sys.exit(qemu.wait())


main()
