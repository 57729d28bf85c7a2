"""Three guests under pexpect: the same test as three-guests.lua. Usage: three_guests.py KERNEL INITRD"""
import concurrent.futures, re, sys, time

import pexpect

PROMPT = r"\[status (\d+)\] "


class Guest:
    def __init__(self, name, kernel, initrd):
        self.child = pexpect.spawn(
            "qemu-system-x86_64",
            ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-M", "q35,smbus=off,sata=off",
             "-cpu", "max,-smap", "-m", "256M", "-kernel", kernel, "-initrd", initrd,
             "-append", f"console=ttyS0 loglevel=5 cryptomgr.notests noreplace-smp panic=-1 vmlab.guest={name}",
             "-serial", "null", "-serial", "stdio"],
            timeout=120, echo=False, encoding="utf-8")
        self.child.delaybeforesend = None
        self.child.expect("VMLAB READY")
        # The shell on this port has neither prompt nor echo: start one that tells the status.
        self.child.sendline("t=$(tty </dev/ttyS1); stty sane -onlcr -echo <$t; PS2= PS1='[status $?] ' exec sh -i <$t >$t 2>&1")
        self.child.expect(PROMPT)

    def run(self, command):
        self.child.sendline(command)
        self.child.expect(PROMPT)
        return int(self.child.match.group(1)), self.child.before

    def succeed(self, command):
        status, output = self.run(command)
        assert status == 0, f"`{command}` ended with {status}: {output}"
        return output.strip()

    def write(self, path, text):
        self.succeed(f"cat > {path} <<'END'\n{text}END")

    def wait_until(self, command, timeout):
        end = time.monotonic() + timeout
        while self.run(command)[0] != 0:
            assert time.monotonic() < end, f"`{command}` did not succeed within {timeout} s"
            time.sleep(0.2)

    def close(self):
        self.child.close(force=True)


def check(guest, number):
    assert re.match("Linux 6", guest.succeed("uname -sr"))
    guest.write("/root/data", f"{number * 111}\n")
    guest.wait_until("test -s /root/data", 10)
    status, _ = guest.run("(exit 3)")
    assert status == 3


def main(kernel, initrd):
    guests = []
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            boots = [pool.submit(Guest, f"g-{number}", kernel, initrd) for number in (1, 2, 3)]
            for boot in boots:
                guests.append(boot.result())
            for work in [pool.submit(check, guest, number + 1) for number, guest in enumerate(guests)]:
                work.result()
        assert sum(int(guest.succeed("cat /root/data")) for guest in guests) == 666
    finally:
        for guest in guests:
            guest.close()


main(*sys.argv[1:])
