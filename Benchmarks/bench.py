"""What the benchmarks share: runs of vmlab, guests driven without it, processor times, and the table.

A benchmark measures two sides in turn (A B A B ...) in one run, because hosts are noisy, and prints the median of the
pairs' ratios with their spread. Every time is in seconds unless its name says otherwise.
"""
import argparse, contextlib, json, os, select, shutil, socket, statistics, subprocess, sys, tempfile, time

from pexpect import fdpexpect

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VMLAB = os.environ.get("VMLAB", f"{ROOT}/.build/release/vmlab")
TICK = os.sysconf("SC_CLK_TCK")


# ---- processor times ----

def own_and_children_cpu(pid):
    """User and system time of a process, and of the children it has waited for."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        words = file.read().rpartition(b")")[2].split()
    user, system, child_user, child_system = (int(word) / TICK for word in words[11:15])
    return user + system, child_user + child_system


def cpu(pids):
    """User and system time of running processes, without their children."""
    return sum(own_and_children_cpu(pid)[0] for pid in pids)


def children(pid):
    """The processes that any thread of a process has started and not waited for."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as file:
            found += [int(word) for word in file.read().split()]
    return found


# ---- vmlab ----

class Run:
    """One `vmlab run`, watched through its events.jsonl as it happens. `file` is the lab's, or a script's, name."""

    def __init__(self, lab, folder, file="lab.yaml"):
        self.folder = tempfile.mkdtemp(dir=folder)
        path = f"{self.folder}/{file}"
        with open(path, "w") as file:
            file.write(lab)
        self.out = f"{self.folder}/results"
        self.text = b""
        self.file = None
        self.errors = open(f"{self.folder}/stderr", "w+b")
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [VMLAB, "run", path, "--out", self.out, "--quiet"], cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=self.errors)

    def wait_for(self, event, count, deadline=300):
        """Waits until `count` such events are written, looking every 5 ms."""
        needle, end = b'"event":"%s"' % event.encode(), time.monotonic() + deadline
        while self.text.count(needle) < count:
            ended = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
            if self.file is None and os.path.exists(f"{self.out}/events.jsonl"):
                self.file = open(f"{self.out}/events.jsonl", "rb")
            self.text += self.file.read() if self.file else b""
            if (ended or time.monotonic() > end) and self.text.count(needle) < count:
                self.fail(f"no {count} events {event}")
            time.sleep(0.005)

    def end(self):
        """Waits for the end; then `wall`, `own_cpu` and `guests_cpu` are known. A run that did not pass is an error."""
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        self.wall = time.monotonic() - self.begun
        self.own_cpu, self.guests_cpu = own_and_children_cpu(self.process.pid)
        if self.process.wait() != 0:
            self.fail(f"exit status {self.process.returncode}")
        return self

    def fail(self, what):
        self.process.kill()
        self.errors.seek(0)
        sys.exit(f"{VMLAB}: {what}: {self.errors.read().decode(errors='replace')[-2000:]}\n(lab: {self.folder}/lab.yaml)")

    def events(self, name):
        """The events of that name, in order."""
        with open(f"{self.out}/events.jsonl") as file:
            return [event for event in map(json.loads, file) if event["event"] == name]


def command_line_of_guest(image, folder):
    """The arguments with which vmlab itself starts a guest of this image, from a guest that it has started."""
    run = Run(f"lab: look\nguests: {{g: {{image: {image}}}}}\ntasks: [{{name: t, on: g, run: 'exit 0'}}]\n", folder)
    run.wait_for("guestBooting", 1)
    found, end = [], time.monotonic() + 30
    while not found and time.monotonic() < end:
        time.sleep(0.01)
        for pid in children(run.process.pid):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline") as file:
                # Between fork and exec the child still has vmlab's own arguments.
                words = file.read().split("\0")[:-1]
                found += [words] if "-append" in words else []
    run.end()
    return found[0] if found else sys.exit("vmlab's guest could not be seen")


# ---- guests without vmlab ----

class Guest:
    """A guest as vmlab starts it, driven by somebody else.

    `port` is its command channel. The `busybox` image is typed to on a terminal, `keys`, and answers on `port`; elsewhere
    both are one. `terminal` is the terminal's name in the guest.
    """

    def __init__(self, line, folder, pass_fds=()):
        self.folder = tempfile.mkdtemp(dir=folder)
        self.port, commands = socket.socketpair()
        self.monitor, monitor = socket.socketpair()
        self.keys, keys = socket.socketpair()
        line, self.terminal = list(line), "ttyS1"
        for index, word in enumerate(line):
            if word.startswith("socket,id=monitor"):
                line[index] = f"socket,id=monitor,fd={monitor.fileno()}"
            elif word.startswith("socket,id=com1"):
                line[index] = f"file,id=com1,path={self.folder}/console"
            elif word.startswith("socket,id=com2"):
                line[index] = f"socket,id=com2,fd={commands.fileno()}"
            elif word.startswith("socket,id=keys"):
                line[index], self.terminal = f"socket,id=keys,fd={keys.fileno()}", "hvc0"
            elif word.startswith("{") and word.find("/exchange") > 0:
                line[index] = exchange_disk(word, self.folder)
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, pass_fds=[monitor.fileno(), commands.fileno(), keys.fileno(), *pass_fds])
        for end in (monitor, commands, keys):
            end.close()
        if self.terminal == "ttyS1":
            self.keys = self.port

    def wait_for(self, text, deadline=120):
        """Waits until the command channel says `text`; returns the seconds since the start."""
        heard, end = b"", time.monotonic() + deadline
        while text not in heard:
            if not select.select([self.port], [], [], max(0, end - time.monotonic()))[0]:
                sys.exit(f"the guest did not say {text} in time: {heard[-500:]}")
            piece = self.port.recv(65536) or sys.exit(f"the guest ended before it said {text}")
            heard += piece
        return time.monotonic() - self.begun

    def close(self):
        self.process.kill()
        self.process.wait()
        for end in (self.port, self.keys, self.monitor):
            end.close()
        shutil.rmtree(self.folder)


def exchange_disk(word, folder):
    """The same disk with a file of our own."""
    disk = json.loads(word)
    disk["file"]["filename"] = f"{folder}/exchange"
    with open(disk["file"]["filename"], "wb") as file:
        file.truncate(64 << 30)
    return json.dumps(disk)


class Shell:
    """An interactive shell on a guest's terminal, under pexpect: no echo, a prompt that carries the exit status, and none
    of pexpect's built-in delays. `port` is the spawn; after `run`, its `before` is what the command printed."""

    def __init__(self, guest, **options):
        self.port = fdpexpect.fdspawn(guest.keys.fileno(), timeout=600, maxread=65536, **options)
        self.port.delayafterread = None
        self.prompt = self.port.compile_pattern_list([r"\[vmlab (\d+)\] "])
        start = f"t=/dev/{guest.terminal}; stty sane -onlcr -echo <$t; PS2= PS1='[vmlab $?] ' exec sh -i <$t >$t 2>&1"
        self.port.sendline(start)
        self.port.expect_list(self.prompt)

    def run(self, command):
        """Types a line; returns its exit status."""
        self.port.sendline(command)
        self.port.expect_list(self.prompt)
        return int(self.port.match.group(1))


@contextlib.contextmanager
def guests(line, count, folder):
    """`count` guests of that command line, all ready."""
    fleet = []
    try:
        for _ in range(count):
            fleet.append(Guest(line, folder))
        for guest in fleet:
            guest.wait_for(b"VMLAB READY")
        yield fleet
    finally:
        for guest in fleet:
            guest.close()


# ---- pairs, and the table ----

def row(name, unit, baseline, ours, theirs, goal=None, scale=1.0, higher_is_better=False):
    """One line of the table from the two sides' measurements, in the order in which they were made."""
    ratios = sorted(a / b for a, b in zip(ours, theirs) if b)
    if higher_is_better:
        ratios = sorted(1 / ratio for ratio in ratios)
    return {
        "name": name, "unit": unit, "ours": statistics.median(ours) * scale, "baseline": baseline,
        "theirs": statistics.median(theirs) * scale, "ratio": statistics.median(ratios), "low": ratios[0],
        "high": ratios[-1], "pairs": len(ratios), "goal": goal,
    }


def figure(name, unit, values, scale=1.0, goal=None):
    """A line without a baseline; its goal is the most that the median may be."""
    values = sorted(value * scale for value in values)
    return {"name": name, "unit": unit, "ours": statistics.median(values), "low": values[0], "high": values[-1],
            "pairs": len(values), "goal": goal}


def table(rows):
    """Prints the rows. The ratio is cost against the baseline's cost: less is better, whatever the unit."""
    cells = [["what", "vmlab", "baseline", "", "ratio", "(spread, pairs)", "goal", "verdict"]]
    for item in rows:
        ours = f"{item['ours']:.4g} {item['unit']}"
        if "ratio" not in item:
            spread = f"({item['low']:.4g}-{item['high']:.4g}, {item['pairs']})"
            limit = "" if item["goal"] is None else f"<= {item['goal']} {item['unit']}"
            verdict = "" if item["goal"] is None else "ok" if item["ours"] <= item["goal"] else "MISSED"
            cells.append([item["name"], ours, "", "", "", spread, limit, verdict])
            continue
        goal = item["goal"]
        verdict = "" if goal is None else "ok" if item["ratio"] <= goal else "MISSED"
        cells.append([
            item["name"], ours, f"{item['theirs']:.4g} {item['unit']}", item["baseline"], f"{item['ratio']:.3f}",
            f"({item['low']:.2f}-{item['high']:.2f}, {item['pairs']})", "" if goal is None else f"<= {goal}", verdict])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    return any(line[-1] == "MISSED" for line in cells)


def main(description, measure, repetitions, needs=VMLAB, how="`make build` makes it, or set VMLAB"):
    """Runs one benchmark from the command line: `measure(repetitions, folder)` returns its rows. `needs` is a file that it
    cannot do without, and `how` says how to come by it."""
    parser = argparse.ArgumentParser(description=description.strip().splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=repetitions, help="how many pairs are measured")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    if not os.access(needs, os.R_OK):
        sys.exit(f"{needs} is not there: {how}")
    # In memory: what the host's file system does with many small files is not what is measured.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="vmlab-bench-", dir=memory) as folder:
        rows = measure(options.repetitions, folder)
    if options.json:
        print(json.dumps(rows))
    else:
        sys.exit(table(rows))
