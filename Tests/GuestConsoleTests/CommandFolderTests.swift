import Foundation
import Glibc
import GuestConsole
import Testing

/// Users, inputs and standard error apart, with the real shells found here.
@Suite(.enabled(if: !shells.isEmpty, "busybox is not installed"), .timeLimit(.minutes(2)))
struct CommandFolderTests {
    private struct Ended: Equatable {
        var exit: Int32
        var output: String
        var errors: String
    }

    /// Ends what copies standard error, and sees that it has ended.
    private static let killing = """
        p=$(pgrep -x -P $PPID tee); kill $p
        while { read -r l </proc/$p/stat; } 2>/dev/null; do case ${l##*) } in [ZX]*) break ;; esac; done
        echo gone
        """

    private func run(
        _ script: String, in session: CommandSession, shell: ScriptShell = .standard, input: String? = nil,
        limit: Int = 1 << 20, user: String? = nil
    ) async throws -> Ended {
        let folder = CommandFolder("/tmp/vmlab-test-\(UUID())", input: input, errorLimit: limit)
        let command = GuestCommand(script, shell: shell, user: user, folder: folder)
        let (output, errors) = (Output(), Output())
        let result = try await session.run(command, deadline: .after(.seconds(30))) { output.append($0) }
        try await session.takeErrors(in: folder, deadline: .after(.seconds(30))) { errors.append($0) }
        #expect(access(folder.path, F_OK) != 0)
        return Ended(exit: result.exit, output: output.text, errors: errors.text)
    }

    @Test("standard error is apart, exactly, and the output has both", arguments: shells)
    func errors(_ shell: String) async throws {
        try await withShell(shell) { session in
            for (script, status, errors) in [
                ("echo out; echo err >&2; exit 3", 3, "err\n"), ("echo out", 0, ""),
                ("printf 'no end' >&2", 0, "no end"),
                ("printf 'a\\036b\\0c' >&2; kill -9 $$", 137, "a\u{1e}b\0c"), ("false", 1, ""),
                ("#!/bin/sh\necho out; echo by file >&2", 0, "by file\n"),
                (
                    "head -c 300000 /dev/zero | tr '\\0' x >&2; head -c 300000 /dev/zero | tr '\\0' y", 0,
                    String(repeating: "x", count: 300_000)
                ),
                ("sleep 1001 & echo late >&2", 0, "late\n"), (Self.killing, 0, ""),
            ] as [(String, Int32, String)] {
                let ended = try await run(script, in: session)
                #expect(ended.exit == status, "\(script)")
                #expect(ended.errors == errors, "\(script)")
                #expect(!script.contains("echo out") || ended.output.contains("out\n"), "\(script)")
                #expect(ended.output.utf8.count >= errors.utf8.count, "\(script)")
                #expect(!errors.hasPrefix("x") || ended.output.filter { $0 == "x" }.count == 300_000, "\(script)")
            }
            #expect(try await session.run("echo next").output == Array("next\n".utf8))
        }
    }

    @Test("what is kept apart is bounded; the output is not", arguments: shells)
    func bounded(_ shell: String) async throws {
        try await withShell(shell) { session in
            let ended = try await run("yes | head -c 200000 >&2; exit 4", in: session, limit: 10_000)
            #expect(ended.exit == 4 && ended.output.utf8.count == 200_000)
            #expect((10_000...30_000).contains(ended.errors.utf8.count))
        }
    }

    @Test("what came before a command was ended is there, by Ctrl-C or by force", arguments: shells)
    func interrupted(_ shell: String) async throws {
        try await withShell(shell) { session in
            for script in ["echo so far >&2; sleep 1001", "trap '' INT; echo so far >&2; sleep 1001"] {
                let folder = CommandFolder("/tmp/vmlab-test-\(UUID())", errorLimit: 1000)
                let (said, output) = AsyncStream.makeStream(of: Void.self)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        await #expect(throws: ConsoleError.cancelled) {
                            _ = try await session.run(
                                GuestCommand(script, folder: folder), deadline: .after(.seconds(60))
                            ) { _ in output.finish() }
                        }
                    }
                    for await _ in said {}
                    group.cancelAll()
                    try await group.waitForAll()
                }
                #expect(await session.interrupt(grace: .seconds(60), step: .milliseconds(300)))
                let errors = Output()
                try await session.takeErrors(in: folder, deadline: .after(.seconds(20))) { errors.append($0) }
                #expect(errors.text == "so far\n", "\(script)")
                #expect(try await session.run("echo alive").output == Array("alive\n".utf8))
            }
        }
    }

    @Test("a command reads a file of the guest, byte for byte", arguments: shells)
    func input(_ shell: String) async throws {
        let file = "/tmp/vmlab-input-\(UUID())"
        let bytes = (0..<2000).flatMap { _ in Array<UInt8>(0...255) }
        #expect(FileManager.default.createFile(atPath: file, contents: Data(bytes)))
        defer { unlink(file) }
        try await withShell(shell) { session in
            let folder = CommandFolder("/tmp/vmlab-test-\(UUID())", input: file)
            let output = Output()
            let command = GuestCommand("cat", shell: .standard, folder: folder)
            let result = try await session.run(command, deadline: .after(.seconds(30))) { output.append($0) }
            #expect(result.exit == 0 && output.bytes == bytes)
            let ended = try await run("wc -c; echo e >&2", in: session, input: file)
            #expect(ended == Ended(exit: 0, output: ended.output, errors: "e\n"))
            #expect(ended.output.contains("512000\n"))
        }
    }

    @Test(
        "a command is another user's: numbers, home, shell, folder", .enabled(if: getuid() == 0, "needs root"),
        arguments: shells)
    func users(_ shell: String) async throws {
        let entry = try #require(getpwnam("daemon")).pointee
        let home = String(cString: entry.pw_dir)
        try await withShell(shell) { session in
            let output = Output()
            for (script, program) in [
                ("id -u; id -g; echo $HOME $USER $LOGNAME $SHELL; pwd; echo $0 $A", ScriptShell.standard),
                ("#!/bin/sh\nid -u; id -g; echo $HOME $USER $LOGNAME $SHELL; pwd; echo sh $A", .standard),
                ("id -u; id -g; echo $HOME $USER $LOGNAME $SHELL; pwd; echo sh $A", .named("sh -x {0} 2>/dev/null")),
            ] {
                let command = GuestCommand(script, shell: program, environment: [("A", "it's")], user: "daemon")
                let result = try await session.run(command, deadline: .after(.seconds(30))) { output.append($0) }
                #expect(result.exit == 0, "\(output.text)")
            }
            let one =
                "\(entry.pw_uid)\n\(entry.pw_gid)\n\(home) daemon daemon \(String(cString: entry.pw_shell))\n\(home)\nsh it's\n"
            #expect(output.text == one + one + one)
            let folder = Output()
            let pwd = GuestCommand("pwd", workingDirectory: "/usr", user: "daemon")
            _ = try await session.run(pwd, deadline: .after(.seconds(30))) { folder.append($0) }
            #expect(folder.text == "/usr\n")
            let ended = try await run("id -un >&2; exit 5", in: session, user: "daemon")
            #expect(ended == Ended(exit: 5, output: "daemon\n", errors: "daemon\n"))
            let closed = "/tmp/vmlab-closed-\(UUID())"
            mkdir(closed, 0o700)
            defer { rmdir(closed) }
            for (command, refusal) in [
                (GuestCommand("id", user: "nosuch.user"), CommandRefusal.noUser("nosuch.user")),
                (GuestCommand("id", workingDirectory: closed, user: "daemon"), .noFolder(closed, user: "daemon")),
            ] {
                await #expect(throws: ConsoleError.refused(refusal)) {
                    _ = try await session.run(command, deadline: .after(.seconds(30)))
                }
            }
            await #expect(throws: ConsoleError.invalidCommand("`a b` cannot be the name of a user")) {
                _ = try await session.run(GuestCommand("id", user: "a b"), deadline: .after(.seconds(30)))
            }
            #expect(try await session.run("id -u").output == Array("0\n".utf8))
        }
    }
}
