import GuestConsole
import Testing

struct BootWatchTests {
    private let start = ContinuousClock.now
    private let patience = BootWatch.Patience(within: .seconds(180))

    private func watch(_ text: String) -> BootWatch {
        var watch = BootWatch(at: start)
        watch.receive(Array(text.utf8)[...], at: start)
        return watch
    }

    @Test(
        "A12: how far a guest has come",
        arguments: [
            ("", BootStage.silent), ("\r\n\u{1b}[2J", .silent), ("SeaBIOS (version 1.16.2)\r\n", .firmware),
            ("SeaBIOS\nBooting from Hard Disk...\n", .firmware),
            ("\u{1b}[2JGNU GRUB  version 2.06\n *Debian GNU/Linux\n Advanced options\n", .bootLoader),
            ("Loading Linux 6.1.0 ...\nLoading initial ramdisk ...\n", .bootLoader),
            ("[    0.000000] Linux version 6.1.0\n", .kernel), ("[    0.000000] Linux version 6.1", .kernel),
            ("[    1.000000] Run /init as init process\nLoading, please wait...\n", .userland),
            ("Loading Linux 6.1.0 ...\n\nDebian GNU/Linux 12 box ttyS0\n", .userland), ("box login: ", .userland),
        ])
    func stages(_ text: String, _ stage: BootStage) {
        #expect(watch(text).stage == stage)
    }

    @Test("A12: a guest that says nothing is given up long before its boot deadline, with what its kernel's words lack")
    func silence() {
        var silent = watch("")
        #expect(silent.check(patience, hasSerialWords: false, at: start + .seconds(29)) == nil)
        #expect(silent.nextCheck(patience) == start + .seconds(30))
        let trouble = silent.check(patience, hasSerialWords: false, at: start + .seconds(30))
        #expect(trouble?.sentence == "the guest has printed nothing on its console in 30 s")
        #expect(trouble?.remedy.contains("add `console=ttyS0`") == true)
        // A guest whose commands go over its other port may keep its console for itself.
        var elsewhere = watch("")
        elsewhere.receiveElsewhere()
        #expect(elsewhere.check(patience, hasSerialWords: false, at: start + .seconds(100)) == nil)
    }

    @Test("A12: trouble on the kernel's console of a guest with two ports")
    func trouble() {
        var watch = watch("Dropping to a shell!\n(initramfs) ")
        #expect(watch.check(patience, hasSerialWords: true, at: start + .seconds(2)) == nil)
        // The kernel may say what it wants; its log is not the system's.
        watch.receive(Array("[   12.345678] random: crng init done\r\n".utf8)[...], at: start + .seconds(2))
        let trouble = watch.check(patience, hasSerialWords: true, at: start + .seconds(3))
        #expect(trouble?.sentence.contains("initial RAM disk") == true)
        // What goes on was not the end.
        var going = self.watch("Press Enter for maintenance\n")
        going.receive(Array("\nbox login: ".utf8)[...], at: start + .seconds(2))
        #expect(going.check(patience, hasSerialWords: true, at: start + .seconds(3)) == nil)
        #expect(going.isAtLogin)
    }

    @Test("A12: a guest that resets over and over")
    func resets() {
        var watch = watch("[    0.000000] Linux version 6.1.0\n")
        for second in 1..<BootWatch.mostResets {
            #expect(watch.reset(at: start + .seconds(second)) == nil)
        }
        let trouble = watch.reset(at: start + .seconds(12))
        #expect(trouble?.sentence == "the guest resets over and over: 5 times in 12 s")
    }

    @Test(
        "A12: what a panic means",
        arguments: [
            ("VFS: Unable to mount root fs on unknown-block(0,0)", "root=/dev/vda1"),
            ("No working init found.  Try passing init= option to kernel.", "rdinit="),
            ("Attempted to kill init! exitcode=0x00000100", "last lines"),
            ("System is deadlocked on memory", "memory:"),
        ])
    func panics(_ message: String, _ remedy: String) {
        let trouble = BootTrouble.explaining(panic: "Kernel panic - not syncing: " + message)
        #expect(trouble?.remedy.contains(remedy) == true)
        #expect(BootTrouble.explaining(panic: "Fatal exception in interrupt") == nil)
    }

    @Test("Patience grows with the boot deadline")
    func patienceOfHosts() {
        #expect(BootWatch.Patience(within: .seconds(20)).stall == .seconds(2))
        #expect(BootWatch.Patience(within: .seconds(180)).stall == .seconds(3))
        #expect(BootWatch.Patience(within: .seconds(3600)).stall == .seconds(10))
    }
}
