import Foundation
import LabResults
import Testing

extension GuestTests {
    /// A command's output is exactly what it printed, its status exactly what it ended with, on both kinds of guest.
    @Suite struct ConsoleTests {
        private static let tricky = #"it's 100% "sure": $HOME & `pwd` | <tag> ; \n ^ ! * ? ~ # grüße 世界 🎉"#

        private static let linux: [OutputCase] = [
            OutputCase("nothing", "true", prints: ""),
            OutputCase("no-newline", "printf abc", prints: "abc"),
            OutputCase("lone-newline", "echo", prints: "\n"),
            OutputCase("errors-too", "echo out; echo err >&2", prints: "out\nerr\n"),
            OutputCase("no-input", "cat; read x || echo \"[$x]\"", prints: "[]\n"),
            OutputCase(
                "every-byte", #"for i in $(seq 0 255); do o="$o\\$(printf %03o $i)"; done; printf "$o""#,
                prints: Array(0...255)),
            OutputCase("line-ends", #"printf 'a\r\nb\rc\n\r\n\n'"#, prints: "a\r\nb\rc\n\r\n\n"),
            OutputCase(
                "escapes", #"printf '\033[2J\033[31mred\033[0m\a\b\033]0;title\a'"#,
                prints: "\u{1b}[2J\u{1b}[31mred\u{1b}[0m\u{7}\u{8}\u{1b}]0;title\u{7}"),
            OutputCase(
                "not-utf-8", #"printf '\377\376\300\200ok\355\240\200\n'"#,
                prints: [255, 254, 192, 128, 111, 107, 237, 160, 128, 10]),
            OutputCase(
                "long-line", "head -c 1000000 /dev/zero | tr '\\0' x; echo",
                prints: [UInt8](repeating: UInt8(ascii: "x"), count: 1_000_000) + [10]),
            OutputCase(
                "looks-like-ours",
                #"printf '# \n$ \nlogin: \nVMLAB READY sh\n\nVMLAB READY sh\n\0360123456789abcdef+\n\0360123456789abcdef-0\n\036-0\n> '"#,
                prints:
                    "# \n$ \nlogin: \nVMLAB READY sh\n\nVMLAB READY sh\n\u{1e}0123456789abcdef+\n\u{1e}0123456789abcdef-0\n\u{1e}-0\n> "
            ),
            OutputCase(
                "own-script", "tr '\\0' '\\n' < /proc/$$/cmdline | tail -n +3",
                prints: "tr '\\0' '\\n' < /proc/$$/cmdline | tail -n +3\nsh\n"),
            OutputCase("exit-3", "exit 3", exit: 3, prints: ""),
            OutputCase("exit-255", "echo x; exit 255", exit: 255, prints: "x\n"),
            OutputCase("last-status", "true\nfalse", exit: 1, prints: ""),
            OutputCase("killed", "echo x; kill -9 $$", exit: 137, prints: "x\n"),
            OutputCase("terminated", "sh -c 'kill -TERM $$'", exit: 143, prints: ""),
            OutputCase("no-such-command", "surely-not-there 2>/dev/null", exit: 127, prints: ""),
            OutputCase(
                "many-lines",
                """
                greet() {
                    echo "hello, $1"
                }
                for name in a 'b c'; do
                \tgreet "$name"
                done
                cat <<'END'
                  $kept `as is` \\
                END
                if true; then echo "yes"; fi   # a comment's quote
                """, prints: "hello, a\nhello, b c\n  $kept `as is` \\\nyes\n"),
            OutputCase("unicode", "echo 'grüße 世界 🎉'; x=é; echo ${#x} >/dev/null; echo $x", prints: "grüße 世界 🎉\né\n"),
            OutputCase(
                "special", #"echo "100% \$HOME & ; | < > \\ ! ' * ?""#, prints: "100% $HOME & ; | < > \\ ! ' * ?\n"),
            OutputCase(
                "environment",
                #"printf '%s\n' "$TRICKY" "$EMPTY" "$LINES2" "$VMLAB_LAB $VMLAB_GUEST $VMLAB_TASK $VMLAB_INDEX""#,
                env: ["TRICKY": tricky, "EMPTY": "", "LINES2": "a\nb "],
                prints: tricky + "\n\na\nb \noutputs box environment 1\n"),
            OutputCase("environment-is-the-tasks-own", #"echo "[$TRICKY]""#, prints: "[]\n"),
            OutputCase("long-script", "cat <<'END'\n" + longText + "END\n", prints: longText),
            OutputCase(
                "kernel-message",
                "echo 'a word for the kernel' > /dev/kmsg; dmesg -n 7; echo '<4>a loud word' > /dev/kmsg", prints: ""),
            OutputCase(
                "random", "head -c 10485760 /dev/urandom > /root/r; cat /root/r", get: ["/root/r"], prints: nil),
            // From here on the kernel's console is busy; each of these runs beside that.
            OutputCase(
                "spew",
                """
                dmesg -n 7; echo on > /proc/sys/kernel/printk_devkmsg
                while :; do echo '<4>spew spew spew' > /dev/kmsg; done &
                echo started
                """, needs: ["random"], prints: "started\n"),
            OutputCase("beside-nothing", "true", needs: ["spew"], prints: ""),
            OutputCase(
                "beside-lines", "seq 1 20000", needs: ["spew"],
                prints: Array((1...20000).map { "\($0)\n" }.joined().utf8)),
            OutputCase("beside-status", "printf x; exit 9", needs: ["spew"], exit: 9, prints: "x"),
            OutputCase(
                "beside-random", "head -c 300000 /dev/urandom > /root/q; cat /root/q", get: ["/root/q"],
                needs: ["spew"], prints: nil),
        ]

        /// Longer than any buffer between host and guest, with everything that a shell could trip over.
        private static let longText = (0..<3000).map { "line \($0): '$x' \"`\\ \(tricky)\n" }.joined()

        @Test func linux() async throws {
            try await VMLab.with { vmlab in
                let lab = OutputLab(image: "busybox", memory: "256MiB", cases: Self.linux)
                try lab.write(to: vmlab)
                let ended = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(ended.status == 0, "\(ended.everything)")
                try lab.check(vmlab)
                for (task, file, count) in [("random", "r", 10_485_760), ("beside-random", "q", 300_000)] {
                    let output = try vmlab.output(task, on: "box")
                    #expect(output.count == count)
                    #expect(try output == vmlab.bytes("out/tasks/\(task)/box/artifacts/\(file)"), "\(task)")
                }
                // The kernel's own console is recorded, each line with the host's time, and kept apart.
                let console = try vmlab.console("box")
                #expect(console.contains("a loud word"))
                #expect(console.components(separatedBy: "spew spew spew").count > 10)
                for line in console.split(separator: "\n").dropFirst() {
                    #expect(line.prefixMatch(of: #/\[ *\d+\.\d+\] /#) != nil, "\(line)")
                }
            }
        }

        private static let windows: [OutputCase] = [
            OutputCase("nothing", "rem nothing", prints: ""),
            OutputCase("no-newline", "set /p x=abc<nul", prints: "abc"),
            OutputCase("one-line", "echo hello", prints: "hello\r\n"),
            OutputCase("no-input", "set /p y=\necho [%y%]", prints: "[]\r\n"),
            OutputCase(
                "lines", "for /l %%i in (1,1,500) do echo line %%i", prints: (1...500).map { "line \($0)\r\n" }.joined()
            ),
            OutputCase("errors-too", "echo out\necho err 1>&2", prints: "out\r\nerr \r\n"),
            OutputCase(
                "looks-like-ours", "echo C:\\^>\necho VMLAB READY cmd\necho Terminate batch job (Y/N)?",
                prints: "C:\\>\r\nVMLAB READY cmd\r\nTerminate batch job (Y/N)?\r\n"),
            OutputCase("exit-3", "exit 3", exit: 3, prints: ""),
            OutputCase("exit-b-7", "echo x\nexit /b 7\necho never", exit: 7, prints: "x\r\n"),
            OutputCase("crash-status", "exit -1073741819", exit: -1_073_741_819, prints: ""),
            OutputCase(
                "last-status", "cmd /c exit 5\necho %ERRORLEVEL%\nexit /b %ERRORLEVEL%", exit: 5, prints: "5\r\n"),
            OutputCase("zero-status", "cmd /c exit 5\nexit /b 0", prints: ""),
            OutputCase(
                "no-label", "echo x\ngoto nowhere\necho never", exit: 1,
                prints: "x\r\nThe system cannot find the batch label specified - nowhere\r\n"),
            OutputCase(
                "no-label-of-a-variable", "set X=no\ngoto %X%where", exit: 1, prints: "Target to GOTO not found\r\n"),
            OutputCase(
                "quotes", "echo \"quoted\" 100%% ^& ^| ^< ^^ $HOME 'x' `y` !z!",
                prints: "\"quoted\" 100% & | < ^ $HOME 'x' `y` !z!\r\n"),
            OutputCase("unicode", "echo grüße 世界 🎉", prints: "grüße 世界 🎉\r\n"),
            OutputCase(
                "many-lines",
                """
                @echo off
                set n=0
                call :sub one two
                call :sub three four
                if %n%==2 (
                    echo n is %n%
                )
                goto :eof
                :sub
                set /a n+=1 > nul
                echo %2 %1
                goto :eof
                """, prints: "two one\r\nfour three\r\nn is 2\r\n"),
            OutputCase(
                "environment", "set ZQ\necho %VMLAB_LAB% %VMLAB_GUEST% %VMLAB_TASK% %VMLAB_INDEX%",
                env: ["ZQA": "100% & \"q\" $x ^ !b! | <c>", "ZQB": "grüße"],
                prints: "ZQA=100% & \"q\" $x ^ !b! | <c>\r\nZQB=grüße\r\noutputs box environment 1\r\n"),
            OutputCase("environment-is-the-tasks-own", "if defined ZQA echo leaked", prints: ""),
            OutputCase(
                "escapes", "type C:\\lab\\escapes", put: ["escapes": "C:\\lab\\escapes"],
                prints: "\u{1b}[31mred\u{1b}[0m\u{7}\r\nno end"),
            OutputCase(
                "long-line", "type C:\\lab\\long", put: ["long": "C:\\lab\\long"],
                prints: [UInt8](repeating: UInt8(ascii: "x"), count: 1_000_000)),
        ]

        @Test func windows() async throws {
            try await VMLab.with { vmlab in
                let lab = OutputLab(image: "wine", memory: "256MiB", cases: Self.windows)
                try lab.write(to: vmlab)
                try vmlab.write("escapes", "\u{1b}[31mred\u{1b}[0m\u{7}\r\nno end")
                try vmlab.write("long", bytes: [UInt8](repeating: UInt8(ascii: "x"), count: 1_000_000))
                let ended = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(ended.status == 0, "\(ended.everything)")
                try lab.check(vmlab)
                #expect(try vmlab.console("box").hasPrefix("# console of box; seconds since "))
            }
        }
    }
}
