import GuestConsole
import LabTestSupport
import Testing

/// Consoles as guests have them, played by a shell of this host on a pseudo-terminal: each works, or is told by name and with
/// its remedy as soon as the guest says no more.
@Suite(.enabled(if: LocalShell.isInstalled("busybox"), "busybox is not installed"), .timeLimit(.minutes(2)))
struct DialogueTests {
    /// How long a guest may say nothing here before it has stalled.
    private static let patience = Duration.seconds(1)

    /// Functions for the dialogues, which are played on the terminal `$1` by what `$2` says. `ask` is a getty.
    private static let player = """
        exec < $1 > $1 2>&1
        cd /
        stty sane
        printf '\\n\\nDebian GNU/Linux 12 box ttyS0\\n\\n'
        noise() { printf '[    1.%06d] usb 1-1: device descriptor read/64, error -71\\r\\n' $1; }
        ask() {
            while :; do
                printf 'box login: '; read -r u; stty -echo; printf 'Password: '; read -r p; stty echo; echo
                [ "$u" = admin ] && [ "$p" = s3cret ] && break
                printf '\\nLogin incorrect\\n'
            done
        }
        bash() { PS1="$1" exec bash --norc --noprofile -i; }
        eval "$2"
        """

    private func open(
        _ dialogue: String, password: String = "s3cret", user: String? = "admin", reactions: [Reaction] = []
    ) async throws -> (LocalShell, CommandSession) {
        let terminal = try LocalShell(dialogue, arrangement: Self.player)
        let dialect = Dialect.sh(user: user, password: user == nil ? nil : password, reactions: reactions)
        return (terminal, CommandSession(channel: terminal, dialect: dialect))
    }

    private static let working: [String: String] = [
        "plain": #"ask; printf 'Last login: Tue Aug 23 21:06:46 CDT 2022 on ttyS0\n'; bash 'root@box:~# '"#,
        "late": #"""
        printf 'box login: '; sleep 0.3; printf '\r\n\033[0;32m  OK  \033[0m Reached target.\r\n'
        read -r u; printf 'Password: '; read -r p; echo; bash 'root@box:~# '
        """#,
        "late0: a status line behind the prompt, in one go": #"""
        printf 'box login: \r\n\033[0;32m  OK  \033[0m Reached target \033[0;1;39mMulti-User System\033[0m.\r\n'
        while :; do read -r u; [ -n "$u" ] && break; printf 'box login: '; done
        printf 'Password: '; read -r p; echo; bash 'root@box:~# '
        """#,
        "a status line behind the shell's prompt": #"""
        printf 'root@box:~# \r\n[\033[0;32m  OK  \033[0m] Started Something.\r\n'; read -r x; bash 'root@box:~# '
        """#,
        "noise in the middle of every prompt": #"""
        printf 'box lo'; noise 1; printf 'gin: '; noise 2; read -r u; printf 'Pass'; noise 3; printf 'word: '; read -r p
        echo; printf 'root@box:~# '; noise 4; noise 5; noise 6; bash ''
        """#,
        "motd with prompts in it": #"""
        ask; printf '####\n# Authorized use only. Cost: 5 $ \n# your login: admin\n# Password: in 3 days\n####\n'
        sleep 0.3; bash 'root@box:~# '
        """#,
        "color": #"ask; bash '\[\e]0;\u@\h\a\]\[\e[01;32m\]\u@\h\[\e[00m\]:\[\e[01;34m\]\w\[\e[00m\]# \[\e[0m\]'"#,
        "prompt2": #"bash '\n┌─[root@box]─[~]\n└──╼ # '"#,
        "dash": #"PS1='$ ' exec dash -i"#,
        "no login is possible at first": #"""
        printf 'box login: '; read -r u; printf 'Password: '; read -r p
        printf '\n"System is booting up. Unprivileged users are not permitted to log in yet."\nLogin incorrect\n'
        ask; bash 'root@box:~# '
        """#,
        "a getty that forgets what was typed before it": #"""
        printf 'box login: '; read -r u; printf '\nbox login: '; read -r u; printf 'Password: '; read -r p; echo
        bash 'root@box:~# '
        """#,
        "a line end typed for nothing is taken for a name": #"""
        printf 'box login: Password: '; read -r p; printf '\nLogin incorrect\n'; ask; bash 'root@box:~# '
        """#,
        "asked twice before the answer came": #"""
        printf 'box login: '; printf '\nbox login: '; read -r u; printf 'Password: '; read -r p; echo
        [ "$u$p" = admins3cret ] && bash 'root@box:~# '
        """#,
    ]

    @Test(
        "A12: a console that has a shell works, whatever is printed around its prompts",
        arguments: working.keys.sorted())
    func works(_ name: String) async throws {
        let (terminal, session) = try await open(Self.working[name] ?? "")
        defer { session.close() }
        try await session.open(patience: Self.patience, deadline: .after(.seconds(60)))
        let (exit, output) = try await session.run("printf 'a\\n\\tb'; exit 6")
        #expect(exit == 6)
        #expect(String(decoding: output, as: UTF8.self) == "a\n\tb")
        withExtendedLifetime(terminal) {}
    }

    /// What is played, a part of the sentence and a part of the remedy.
    private static let hopeless: [String: (dialogue: String, sentence: String, remedy: String)] = [
        "wrongpw": (
            #"admin=; ask() { :; }; while :; do printf 'box login: '; read u; printf 'Password: '; read p; printf '\nLogin incorrect\n'; done"#,
            "refused the login", "`user:` and `password:`"
        ),
        "emerg": (
            #"""
            printf 'You are in emergency mode. After logging in, type "journalctl -xb" to view\nsystem logs.\n\n'
            printf 'Cannot open access to console, the root account is locked.\n\nPress Enter to continue.\n'; read x; echo again
            """#, "emergency mode", "/etc/fstab"
        ),
        "menu": (
            #"printf 'GNU GRUB\n\033[2J\033[H*Debian GNU/Linux\n Advanced options\nPress Enter to continue'; read x"#,
            "waits for an answer", "console.reactions"
        ),
        "nosh": (
            #"while :; do printf 'router# '; read -r l; case $l in '') ;; *) echo '% Invalid input detected';; esac; done"#,
            "not that of a POSIX shell: it answers `exec sh` with `% Invalid input detected`", "console.reactions"
        ),
        "initramfs": (
            #"printf 'ALERT!  /dev/vda1 does not exist.  Dropping to a shell!\n\n(initramfs) '; noise 1; sleep 1000"#,
            "initial RAM disk", "root="
        ),
        "sulogin": (
            #"printf 'Give root password for maintenance\n(or press Control-D to continue): '; read x"#,
            "emergency mode", "/etc/fstab"
        ),
        "fsck": (#"printf '/dev/vda1: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.\n'; read x"#, "is damaged", "fsck"),
        "grub": (
            #"printf 'GNU GRUB  version 2.06\n\n   Minimal BASH-like line editing is supported.\n\ngrub> '; read x"#,
            "found no configuration", "update-grub"
        ),
        "grub rescue": (
            #"printf 'error: no such partition.\nEntering rescue mode...\ngrub rescue> '; read x"#,
            "grub rescue>", "kernel:"
        ),
        "SeaBIOS": (
            #"printf 'SeaBIOS (version 1.16.2)\nBooting from Hard Disk...\nBoot failed: not a bootable disk\n\nNo bootable device.\n'; read x"#,
            "no bootable system", "blank"
        ),
        "OVMF": (
            #"printf 'UEFI Interactive Shell v2.2\nEDK II\n\033[0m\033[37mShell> '; read x"#,
            "UEFI firmware found no bootable", "boot loader"
        ),
        "PXE": (
            #"printf 'BdsDxe: failed to load Boot0001\n>>Start PXE over IPv4.'; read x"#, "server on the network",
            "blank"
        ),
        "expired": (
            #"ask; printf 'You are required to change your password immediately (administrator enforced).\nCurrent password: '; read x"#,
            "new password", "chage"
        ),
        "passphrase": (
            #"printf 'Please enter passphrase for disk QEMU (root): '; read x"#, "encrypted disk", "reactions"
        ),
        "a login without end": (
            #"while :; do printf 'box login: '; read x; done"#, "keeps asking `box login:`", "console:"
        ),
    ]

    @Test(
        "A12: a guest that will not come to a shell is told by name, with its remedy", arguments: hopeless.keys.sorted()
    )
    func isTold(_ name: String) async throws {
        let expected = try #require(Self.hopeless[name])
        let (terminal, session) = try await open(expected.dialogue)
        defer { session.close() }
        do {
            try await session.open(patience: Self.patience, deadline: .after(.seconds(60)))
            Issue.record("it came to a shell")
        } catch .bootTrouble(let trouble) {
            #expect(trouble.sentence.contains(expected.sentence), "\(trouble.sentence)")
            #expect(trouble.remedy.contains(expected.remedy), "\(trouble.remedy)")
        } catch {
            Issue.record("\(error)")
        }
        withExtendedLifetime(terminal) {}
    }

    @Test("A12: a guest that asks for a login which the lab does not name")
    func noCredentials() async throws {
        let (terminal, session) = try await open("ask", user: nil)
        defer { session.close() }
        let error = await #expect(throws: ConsoleError.self) {
            try await session.open(patience: Self.patience, deadline: .after(.seconds(60)))
        }
        #expect(error?.diagnostic.message.contains("the lab names none") == true)
        withExtendedLifetime(terminal) {}
    }

    @Test("A12: the lab's reactions answer menus")
    func reactions() async throws {
        let menu =
            #"printf '*Debian\nPress Enter to continue'; read -r x; printf 'Which one? '; read -r y; [ "$y" = two ] && bash '# '"#
        let (terminal, session) = try await open(
            menu, reactions: [Reaction("Press Enter", .type([10])), Reaction(#"one\? $"#, .type(Array("two\n".utf8)))])
        defer { session.close() }
        try await session.open(patience: Self.patience, deadline: .after(.seconds(60)))
        #expect(try await session.run("exit 6").exit == 6)
        withExtendedLifetime(terminal) {}
    }
}
