extension BootTrouble {
    /// Failed boots that no answer on the console repairs, the more specific ones first.
    public static let known: [BootTrouble] = [
        // Firmware.
        BootTrouble(
            "No bootable device", "No bootable medium", "Operating System not found", "Missing operating system",
            "Non-System disk",
            means: "the firmware found no bootable system on the guest's disk",
            remedy: "the disk is blank, has no boot loader, or boots by UEFI and needs `firmware:` (OVMF)"),
        BootTrouble(
            "Shell>", "No bootable option or device was found", at: .lastLine,
            means: "the UEFI firmware found no bootable system on the guest's disk",
            remedy: "the disk is blank, has no EFI boot loader, or boots by BIOS and needs no `firmware:`; "
                + "`console: uefi` runs tasks in the UEFI shell itself"),
        BootTrouble(
            ">>Start PXE over", ">>Start HTTP Boot", "PXE-E", "No more network devices", "Nothing to boot",
            "No configuration methods succeeded", at: .lastLine,
            means: "the firmware found no bootable disk and waits for a server on the network",
            remedy: "the disk is blank or has no boot loader for this firmware: vmlab serves nothing to boot by network"
        ),
        // Boot loaders.
        BootTrouble(
            "grub rescue>",
            means: "the boot loader GRUB cannot read its own files and stopped at `grub rescue>`",
            remedy: "the partition that it was installed for is not on this disk: reinstall GRUB, "
                + "or boot a `kernel:` and `initrd:` of your own"),
        BootTrouble(
            "grub>", at: .prompt,
            means: "the boot loader GRUB found no configuration and stopped at its prompt",
            remedy: "/boot/grub/grub.cfg is missing on the disk: make it with `update-grub`, "
                + "or boot a `kernel:` and `initrd:` of your own"),
        BootTrouble(
            "boot:", at: .prompt,
            means: "the boot loader waits for the name of what to boot",
            remedy: "set a timeout and a default in its configuration, or answer with "
                + #"`console.reactions: [{expect: 'boot:', send: "\n"}]`"#),
        // Initial RAM disks.
        BootTrouble(
            "(initramfs)", "dracut:/#", "initramfs emergency recovery shell",
            "You are now being dropped into an emergency shell",
            "Entering emergency mode. Exit the shell to continue",
            means: "the initial RAM disk did not find the guest's root file system and opened its own shell",
            remedy: "check `root=` in the kernel command line, and that the initial RAM disk has the drivers "
                + "virtio_pci and virtio_blk and the file system's; the lines before name what is missing"),
        // Systems.
        BootTrouble(
            "RUN fsck MANUALLY", "fsck failed. Please repair manually",
            means: "a file system of the guest is damaged and its check needs a manual repair",
            remedy: "repair the disk with fsck, or boot a good copy of it"),
        BootTrouble(
            "You are in emergency mode", "Welcome to emergency mode", "You are in rescue mode",
            "Welcome to rescue mode", "the root account is locked", "Give root password for",
            "Enter root password for", "Press Enter for maintenance", "Control-D to continue", "sulogin",
            means: "the guest is in emergency mode: something that its boot depends on has failed",
            remedy: "most often it is a file system in its /etc/fstab that is not there: look for `Failed` and "
                + "`Dependency failed` in the console's log, and repair the disk (`nofail` in /etc/fstab)"),
    ]

    /// Questions of a guest that the lab can answer. Without an answer they end its boot.
    public static let questions: [BootTrouble] = [
        BootTrouble(
            "required to change your password", "password has expired", "assword expired", "Password change required",
            "Current password:", "New password:", "new password:", "(current) UNIX password:",
            means: "the guest requires a new password for its user before anyone can log in",
            remedy:
                "give the user in the image a password that does not expire (`chage -M -1 -d 1 USER`), or answer with "
                + "`console.reactions`, one entry for each prompt"),
        BootTrouble(
            "account has expired", "account is locked", "account is not available",
            means: "the guest's account is locked or has expired",
            remedy: "log in as another `user:` of the image's `console:`, or unlock the account in the image"),
        BootTrouble(
            "passphrase", "Please unlock disk", at: .lastLine,
            means: "the guest asks for the passphrase of an encrypted disk",
            remedy: #"answer with `console.reactions: [{expect: 'passphrase', send: "…\n"}]`"#),
        BootTrouble(
            "Press Enter", "press Enter", "Press ENTER", "PRESS ENTER", "press [Enter]", "Press [Enter]",
            "Press RETURN",
            "Press return", "Hit Enter", "hit Enter", "Hit return", "ress any key", "RESS ANY KEY", "it any key",
            "activate this console", "--More--", "-- more --", "(y/n)", "(Y/N)", "(yes/no)", "[y/n]", "[Y/n]", "[y/N]",
            at: .lastLine,
            means: "the guest waits for an answer on its console",
            remedy: #"answer it in the image with `console.reactions: [{expect: 'Press Enter', send: "\n"}]`, "#
                + "where `expect` is a pattern for what it prints"),
        BootTrouble(
            "login:", "Login:", "Username:", "username:", at: .prompt, asks: .login,
            means: "the guest asks for a login, and the lab names none",
            remedy: "set `user:` and `password:` in the image's `console:`"),
        BootTrouble(
            "assword:", at: .prompt, asks: .password,
            means: "the guest asks for a password, and the lab names none",
            remedy: "set `password:` in the image's `console:`"),
    ]

    /// Kernel panics that are the end of a boot.
    static let panics: [BootTrouble] = [
        BootTrouble(
            "Unable to mount root fs", "Cannot open root device", moment: .inPanic,
            means: "the kernel cannot mount its root file system",
            remedy: "name it in `cmdline:`, such as `root=/dev/vda1`, and build the drivers for virtio disks "
                + "(CONFIG_VIRTIO_PCI, CONFIG_VIRTIO_BLK) and its file system into the kernel, or give an `initrd:`"),
        BootTrouble(
            "No working init found", "No init found", "Requested init", moment: .inPanic,
            means: "the kernel found no program to start as process 1",
            remedy:
                "the initial RAM disk or root file system needs an executable /init or /sbin/init of this processor's "
                + "kind with its libraries, or `cmdline:` names one with `rdinit=` or `init=`"),
        BootTrouble(
            "Attempted to kill init", moment: .inPanic,
            means: "process 1 of the guest ended",
            remedy: "the console's last lines say why; exit code 0x7f00 means that it did not find a program"),
        BootTrouble(
            "IO-APIC + timer doesn't work", moment: .inPanic,
            means: "the emulated processor had too little time for its timer's test",
            remedy: "add `no_timer_check` to `cmdline:`, or run fewer guests at once (`--jobs`)"),
        BootTrouble(
            "System is deadlocked on memory", "Out of memory", moment: .inPanic,
            means: "the guest has too little memory to boot",
            remedy: "give it more `memory:`"),
    ]

    /// Messages that a login was refused.
    static let refusals = [
        "Login incorrect", "login incorrect", "Login failed", "Authentication failure", "Access denied",
    ]

    /// Messages that nobody can log in yet.
    static let bootingStill = ["System is booting up"]

    static let refusedLogin = BootTrouble(
        means: "the guest refused the login: the user name or the password is wrong",
        remedy: "correct `user:` and `password:` of the image's `console:`")

    static func resets(_ count: Int, within time: Duration) -> BootTrouble {
        BootTrouble(
            means: "the guest resets over and over: \(count) times in \(time.components.seconds) s",
            remedy:
                "the console's last lines may say why. If there are none, add `earlyprintk=ttyS0` to `cmdline:` to see the "
                + "messages of early boot; too little `memory:` is a common reason")
    }

    /// The console stayed empty. `hasSerialWords` as in `BootWatch.check`.
    static func silence(of time: Duration, hasSerialWords: Bool?) -> BootTrouble {
        let serial = "`console=ttyS0`"
        let remedy =
            switch hasSerialWords {
            case nil: "have the disk's boot loader and kernel use the serial port: \(serial) on the kernel command line"
            case false: "add \(serial) to `cmdline:`: the kernel command line names no serial console"
            case true:
                "check that the kernel has a driver for the serial port (CONFIG_SERIAL_8250_CONSOLE); with "
                    + "`earlyprintk=ttyS0` in `cmdline:` it prints before any driver is loaded. On a slow host raise `timeouts: boot:`"
            }
        return BootTrouble(
            means: "the guest has printed nothing on its console in \(time.components.seconds) s", remedy: remedy)
    }

    /// The guest asks `question` again, which was answered as often as allowed.
    static func repeated(_ question: String) -> BootTrouble {
        BootTrouble(
            means: "the guest keeps asking `\(question)`",
            remedy: "check the image's `console:`; its `reactions` answer what a guest asks")
    }

    /// The search for a pattern of the image's `console:` took too long.
    static func slowPattern(_ pattern: String) -> BootTrouble {
        BootTrouble(
            means: "looking for the pattern /\(pattern)/ in the guest's output takes too long",
            remedy: "write the `prompt:` or `reactions:` of the image's `console:` without nested repeats")
    }

    /// There is a prompt, but its program does not start `sh` and prints this answer.
    static func noShell(at prompt: String, saying answer: String) -> BootTrouble {
        BootTrouble(
            means: "the guest's prompt `\(prompt)` is not that of a POSIX shell"
                + (answer.isEmpty ? "" : ": it answers `exec sh` with `\(answer)`"),
            remedy: "have it start one with `console.reactions`, such as "
                + #"`[{expect: '\#(prompt)$', send: "start shell\n"}]`, or correct `prompt:` if this is not the shell's prompt"#
        )
    }
}
