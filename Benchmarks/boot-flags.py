#!/usr/bin/env python3
"""Time from exec of QEMU to the first answered command, for many ways to boot the `busybox` image.

    Benchmarks/boot-flags.py IMAGE [ROUNDS] [FILTER]

IMAGE is the image's folder in the cache. Ways are taken in turns, so that a change in the host's load hits all alike.
Prints for each the smallest and the median time, QEMU's processor time, its memory, and failures.
"""
import os, statistics, subprocess, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from boot_timer import Boot, command

image = sys.argv[1]
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
wanted = sys.argv[3] if len(sys.argv) > 3 else ""

WORDS = "loglevel=5 cryptomgr.notests noreplace-smp"
LEAN = "q35,vmport=off,smbus=off,sata=off,smm=off"
HVC = ["-device", "virtio-serial-pci", "-device", "virtconsole,chardev=com2"]


def compressed(program):
    """The initrd compressed by a program that reads stdin."""
    target = tempfile.NamedTemporaryFile(prefix="vmlab-initrd-", delete=False)
    with open(f"{image}/initrd", "rb") as source:
        subprocess.run(program, stdin=source, stdout=target, check=True)
    return target.name


def ways():
    base = dict(words=WORDS)
    yield "q35 (base)", base
    yield "q35, words: none but console", dict(words="")
    for word in WORDS.split():
        yield f"q35 without {word}", dict(words=" ".join(w for w in WORDS.split() if w != word))
    yield LEAN, dict(base, machine=LEAN)
    yield LEAN + " + qboot", dict(base, machine=LEAN, extra=["-bios", "qboot.rom"])
    yield LEAN + " + hvc0", dict(base, words=WORDS + " vmlab.channel=hvc0", machine=LEAN, extra=HVC)
    yield "pc", dict(base, machine="pc")
    yield "microvm", dict(base, machine="microvm")
    for cpu in ("qemu64,+rdrand", "Nehalem,+rdrand", "EPYC,-smap", "max,-smap,-la57"):
        yield f"-cpu {cpu}", dict(base, cpu=cpu)
    for size in (16, 32, 64, 256):
        yield f"tb-size={size}", dict(base, accel=f"tcg,tb-size={size}")
    yield "thread=single", dict(base, accel="tcg,thread=single")
    for memory in ("96", "128", "512", "5120"):
        yield f"-m {memory}", dict(base, memory=memory)
    for words in ("nolapic_timer", "mitigations=off", "nokaslr", "nopti", "tsc=reliable", "no_timer_check",
                  "8250.nr_uarts=2", "i8042.noaux i8042.nokbd", "audit=0", "lsm=", "random.trust_cpu=on",
                  "initcall_blacklist=crypto_kdf108_init", "rcupdate.rcu_expedited=1", "quiet", "loglevel=7"):
        yield f"+ {words}", dict(words=f"{WORDS} {words}")
    for name, program in (("gzip", ["gzip", "-9"]), ("lz4", ["lz4", "-l", "-9"]), ("zstd", ["zstd", "-19", "-q"])):
        yield f"initrd {name}", dict(base, initrd=program)
    bzimage = os.environ.get("BZIMAGE")
    if bzimage:
        yield "bzImage", dict(base, kernel=bzimage)


def main():
    chosen = [(name, dict(way)) for name, way in ways() if wanted in name or name == "q35 (base)"]
    for _, way in chosen:
        if "initrd" in way:
            way["initrd"] = compressed(way["initrd"])
    results = {name: [] for name, _ in chosen}
    for _ in range(rounds):
        for name, way in chosen:
            results[name].append(Boot(command(image, **way), deadline=20))
    print(f"{'way':44} {'min s':>6} {'med s':>6} {'cpu s':>6} {'MiB':>5} failed")
    for name, boots in results.items():
        good = [boot for boot in boots if boot.answer is not None]
        failed = len(boots) - len(good)
        if not good:
            print(f"{name:44} all failed: {boots[0].errors.strip()[-80:]}")
            continue
        print(f"{name:44} {min(b.answer for b in good):6.2f} {statistics.median(b.answer for b in good):6.2f}"
              f" {min(b.cpu for b in good):6.2f} {good[0].resident:5.0f} {failed or ''}")


main()
