"""Boots a vmlab guest with QEMU and takes the time; shared by the benchmark scripts here."""
import os, select, socket, subprocess, tempfile, time


class Boot:
    """One boot. Times are seconds from just before `exec` of QEMU; None is what did not happen."""

    def __init__(self, command, deadline=60, probe=b"echo sum-$((6*7))\n", answer=b"sum-42", keep=False):
        self.console = b""
        self.cpu = self.resident = None
        self.firmware = self.ready = self.answer = None
        self.command_output = b""
        directory = tempfile.mkdtemp(prefix="vmlab-bench-")
        listeners = []
        for name in ("com1", "com2"):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(f"{directory}/{name}")
            listener.listen(1)
            listeners.append(listener)
        self.errors = open(f"{directory}/stderr", "w+")
        start = time.monotonic()
        self.start = start
        self.process = subprocess.Popen(
            [word.replace("@DIR@", directory) for word in command],
            stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)
        self.com1 = self._accept(listeners[0])
        self.com2 = self._accept(listeners[1])
        if self.com1 and self.com2:
            self._run(start, deadline, probe, answer)
        for listener in listeners:
            listener.close()
        if not keep:
            self.close()

    def _accept(self, listener):
        listener.settimeout(10)
        try:
            return listener.accept()[0]
        except TimeoutError:
            return None

    def _run(self, start, deadline, probe, answer):
        while time.monotonic() - start < deadline and self.answer is None:
            readable, _, _ = select.select([self.com1, self.com2], [], [], 1.0)
            now = time.monotonic() - start
            for port in readable:
                data = port.recv(65536)
                if not data:
                    return
                if port is self.com1:
                    self.firmware = self.firmware or now
                    self.console += data
                else:
                    self.command_output += data
                    if self.ready is None and b"VMLAB READY" in self.command_output:
                        self.ready = now
                        port.sendall(probe)
                    if self.ready is not None and answer in self.command_output:
                        self.answer = now
            if b"Kernel panic" in self.console:
                return

    def close(self):
        """Ends the guest; afterwards `cpu` is the processor time QEMU used and `errors` what it said."""
        if self.process.poll() is None:
            self.process.kill()
        if self.process.returncode is None:
            _, _, usage = os.wait4(self.process.pid, 0)
            self.process.returncode = 0
            self.cpu = usage.ru_utime + usage.ru_stime
            self.resident = usage.ru_maxrss / 1024
        self.com1 and self.com1.close()
        self.com2 and self.com2.close()
        self.errors.seek(0)
        self.errors = self.errors.read()


SERIAL = ["-chardev", "socket,id=com1,path=@DIR@/com1", "-chardev", "socket,id=com2,path=@DIR@/com2"]


def command(image, machine="q35", cpu="max,-smap", memory="256", words="", accel="tcg", kernel=None, initrd=None,
            extra=(), devices=True):
    """The arguments of one QEMU; `machine` starting with `microvm` gets mmio devices."""
    words = f"console=ttyS0 {words}".strip()
    micro = machine.startswith("microvm")
    line = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-M", machine,
            "-accel", accel, "-cpu", cpu, "-m", memory, "-kernel", kernel or f"{image}/kernel",
            "-initrd", initrd or f"{image}/initrd", "-append", words, *SERIAL,
            "-serial", "chardev:com1"]
    if "virtconsole,chardev=com2" not in extra:
        line += ["-device", "isa-serial,chardev=com2,iobase=0x2f8,irq=3,index=1"] if micro else ["-serial", "chardev:com2"]
    if devices:
        line += ["-device", "virtio-rng-device" if micro else "virtio-rng-pci"]
    return line + list(extra)
