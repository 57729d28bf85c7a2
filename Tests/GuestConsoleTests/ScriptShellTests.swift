import GuestConsole
import Testing

/// What runs a script, with the real shells found here.
@Suite(.enabled(if: !shells.isEmpty, "busybox is not installed"), .timeLimit(.minutes(2)))
struct ScriptShellTests {
    private func run(
        _ script: String, _ shell: ScriptShell = .standard, in guest: String, name: String = "check.sh",
        folder: String? = nil
    ) async throws -> (exit: Int32, output: String) {
        let output = Output()
        var exit: Int32 = 0
        try await withShell(guest) { session in
            let command = GuestCommand(
                script, shell: shell, name: name, environment: [("A", "it's")], workingDirectory: folder)
            exit = try await session.run(command, deadline: .after(.seconds(30))) { output.append($0) }.exit
        }
        return (exit, output.text)
    }

    @Test("A10: a script stops at its first line that fails", arguments: shells)
    func stopsAtFailure(_ guest: String) async throws {
        for (script, output, status) in [
            ("false\necho reached", "", 1), ("echo a; (exit 7); echo b", "a\n", 7),
            ("false || echo on\necho end", "on\nend\n", 0),
            ("if false; then :; fi\necho end", "end\n", 0), ("nosuch 2>/dev/null\necho reached", "", 127),
            ("f() { false; echo in; }\nf\necho reached", "", 1), ("false | true\necho end", "end\n", 0),
            ("set +e\nfalse\necho reached", "reached\n", 0), ("cd /nosuch 2>/dev/null\necho reached", "", nil),
            (String(repeating: "# it's a long script\n", count: 10_000) + "false\necho reached", "", 1), ("", "", 0),
        ] as [(String, String, Int32?)] {
            let result = try await run(script, in: guest)
            #expect(result.output == output, "\(script.suffix(60))")
            if let status { #expect(result.exit == status, "\(script.suffix(60))") } else { #expect(result.exit != 0) }
        }
        // What the host has a guest do sees to its own failures.
        #expect(try await run("false\necho reached", .plain, in: guest) == (0, "reached\n"))
    }

    @Test("A10: `shell` chooses another, as on GitHub", arguments: shells)
    func namedShells(_ guest: String) async throws {
        for (shell, script, output, status) in [
            ("sh", "false\necho reached", "reached\n", 0), ("sh -e", "false\necho reached", "", 1),
            ("sh  -e {0}", "false\necho reached", "", 1),
            ("sh", "#!/nosuch\necho a", "a\n", 0), ("sh -x -e", "echo a 2>/dev/null", "+ echo a\na\n", 0),
            ("cat", "two\nlines $A 'q'\n", "two\nlines $A 'q'\n", 0),
            ("sh -c 'cat {0} | wc -l'", "1\n2\n3\n", "3\n", 0),
            ("sh {0} x", "echo $1 $A; basename $0", "x it's\ncheck.sh\n", 0), ("no-such-shell", "echo", nil, 127),
        ] as [(String, String, String?, Int32)] {
            let result = try await run(script, .named(shell), in: guest)
            #expect(result.exit == status, "\(shell)")
            if let output {
                #expect(result.output == output, "\(shell)")
            } else {
                #expect(result.output.contains(shell))
            }
        }
        if LocalShell.isInstalled("bash") {
            #expect(try await run("false | true\necho reached", .named("bash"), in: guest) == (1, ""))
            #expect(
                try await run("echo ${BASH_VERSION:+bash}", .firstLine(orNamed: "bash"), in: guest) == (0, "bash\n"))
        }
    }

    @Test("A18: line ends of Windows and a byte order mark are no error", arguments: shells)
    func lineEnds(_ guest: String) async throws {
        for script in [
            "if true; then\r\n  echo a\r\nfi\r\necho b\r\n", "\u{feff}echo a\necho b", "\u{feff}echo a\r\necho b\r\n",
            "\u{feff}#!/bin/sh\r\necho a\r\necho b\r\n", "#!/usr/bin/env sh\r\necho a\necho b\r\n",
        ] {
            #expect(try await run(script, in: guest) == (0, "a\nb\n"), "\(script)")
        }
        #expect(try await run("printf '\r\r'", in: guest) == (0, "\r\r"))
    }

    @Test("A18: a script's file is gone once it has ended", arguments: shells)
    func files(_ guest: String) async throws {
        try await withShell(guest) { session in
            let output = Output()
            let command = GuestCommand("#!/bin/sh\necho $0; test -f $0", shell: .standard, name: "a.sh")
            let result = try await session.run(command, deadline: .after(.seconds(30))) { output.append($0) }
            #expect(result.exit == 0)
            #expect(output.text.hasPrefix("/tmp/vmlab-") && output.text.hasSuffix("/a.sh\n"))
            #expect(try await session.run("ls -d $(dirname \(output.text))").exit != 0)
        }
    }

    @Test("A18: a script's first line says what runs it", arguments: shells)
    func firstLines(_ guest: String) async throws {
        // As when it is run by its name: without `-e`.
        #expect(try await run("#!/bin/sh\nfalse\necho $A; basename $0", in: guest) == (0, "it's\ncheck.sh\n"))
        #expect(try await run("#! /bin/sh -e \nfalse\necho", in: guest) == (1, ""))
        #expect(try await run("#!/usr/bin/env sh -e -u\necho $-", in: guest).output.contains("u"))
        #expect(try await run("#!/bin/cat\nit's $A\n", in: guest, folder: "/usr") == (0, "#!/bin/cat\nit's $A\n"))
        let long = "#!/bin/sh\n" + String(repeating: "# it's a long script\n", count: 10_000) + "pwd; exit 5"
        #expect(try await run(long, in: guest, name: "a 'b'.sh", folder: "/usr") == (5, "/usr\n"))
        let missing = try await run("#!/opt/no-such/python3 -u\nprint()", in: guest, name: "check.py")
        #expect(
            missing == (127, "check.py: this guest has no /opt/no-such/python3, which the script's first line names\n"))
        if LocalShell.isInstalled("python3") {
            let python =
                "#!/usr/bin/env python3\nimport os, sys\nprint(os.environ['A'], os.path.basename(sys.argv[0]))\n"
            #expect(try await run(python, in: guest) == (0, "it's check.sh\n"))
        }
    }
}
