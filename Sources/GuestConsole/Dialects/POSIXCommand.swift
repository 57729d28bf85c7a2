/// A command whose script is a file, and what it may have beside that: another user, an input, its standard error apart.
extension POSIXShell {
    /// The script is written to a file by the command's process before that becomes its program as `start` says. The resident
    /// shell removes the file once the command has ended.
    static func running(_ command: GuestCommand, _ start: String, _ nonce: Nonce) -> [Exchange] {
        let script = Array(command.script.utf8)
        let isLong = script.count > longestText / 2
        let folder = command.folder?.path ?? "/tmp/vmlab-\(nonce.description.prefix(8))"
        // A script may have the name of another file of the command.
        let place = command.folder == nil ? folder : "\(folder)/script"
        let file = Array(place.utf8) + quoted(Array("/\(command.name)".utf8))
        let program = Array(start.replacing("{0}", with: String(decoding: file, as: UTF8.self)).utf8)
        var body = Array("mkdir -m 700 \(place)&&printf %s ".utf8)
        body += (isLong ? Array("\"$__s\"".utf8) : quoted(script)) + Array(" >".utf8) + file + Array("||exit;".utf8)
        if let user = command.user {
            body += Array("chown -R $_vi:$_vg \(folder)||exit;".utf8)
            body += Array("export HOME=\"$_vh\" USER=\(user) LOGNAME=\(user) SHELL=\"${_vs:-/bin/sh}\";".utf8)
            body += terminal(for: command) + exports(of: command)
            // Root's own folder is often closed to others.
            let enter = command.workingDirectory.map { entering($0) } ?? Array("cd \"$HOME\" 2>/dev/null||cd /;".utf8)
            body += Array("exec $_vw -c ".utf8) + quoted(enter + program)
        } else {
            body += preparation(of: command) + program
        }
        let input = command.folder?.input.map { "<\($0)" } ?? "<&8"
        let run =
            command.folder?.errorLimit.map { apart(body, in: folder, limit: $0, input, nonce) }
            ?? Array("(".utf8) + body + Array(")\(input) 8<&- 6>&- 2>&1;a \(nonce);rm -rf \(folder)".utf8)
        return (isLong ? blocks(of: script) : []) + [exchange(Array("b \(nonce);".utf8) + run, nonce)]
    }

    /// Runs statements with their standard error on a FIFO, from which `tee` copies it to a file, first, and to the output.
    ///
    /// The end marker goes the same way, so it comes after all that the command has written, and to the file too. Processes in
    /// the background may write on: `tee` ends with the last of them. It ignores Ctrl-C, and a full file (signal 25). If it was
    /// killed, the marker goes straight to the output; if all of this was, the resident shell prints it.
    private static func apart(
        _ body: [UInt8], in folder: String, limit: Int, _ input: String, _ nonce: Nonce
    ) -> [UInt8] {
        let tee =
            "(trap : INT;exec 9<>\(folder)/e;"
            + "(trap '' INT 25;ulimit -f \(limit / 512 + 1);"
            + "exec tee /proc/self/fd/4 <\(folder)/e 4>&1 >\(folder)/stderr 2>/dev/null 9>&-)& _vp=$!;("
        let end =
            ")2>&9 9>&-;_vx=$?;{ read -r _vl </proc/$_vp/stat;} 2>/dev/null&&case ${_vl##*) } in [ZX]*)false;;esac&&"
            + "{ (exit $_vx);a \(nonce) >&9;exit 0;};(exit $_vx);a \(nonce);exit 0)"
        return Array(tee.utf8) + body + Array("\(end)\(input) 8<&- 6>&- 2>&1||a \(nonce)".utf8)
    }

    /// What the resident shell looks at and prepares before the command: an exchange that is refused where something is amiss.
    /// Nil for a command that needs nothing of this. It leaves the user's numbers, home and shell in `_vi`, `_vg`, `_vh` and
    /// `_vs`, and in `_vw` the program that starts the user's processes.
    static func preparing(_ command: GuestCommand) -> Exchange? {
        var text = Array("_vr=0;{ ".utf8)
        var refusals: [Int32: CommandRefusal] = [:]
        if let user = command.user {
            refusals[81] = .noUser(user)
            refusals[82] = .cannotBecome(user)
            text += Array(becoming(user).utf8)
        }
        if let directory = command.workingDirectory {
            refusals[83] = .noFolder(directory, user: command.user)
            let enter = Array("cd -- ".utf8) + quoted(Array(directory.utf8))
            text += Array("[ $_vr = 0 ]&&{ ".utf8)
            text +=
                command.user == nil ? Array("(".utf8) + enter + Array(")".utf8) : Array("$_vw -c ".utf8) + quoted(enter)
            text += Array("||_vr=83;};".utf8)
        }
        if let folder = command.folder {
            refusals[84] = .noFolderOfItsOwn
            let fifo = folder.errorLimit == nil ? "" : "&&mkfifo \(folder.path)/e&&command -v tee"
            text += Array("[ $_vr = 0 ]&&{ mkdir -p \(folder.path)&&chmod 700 \(folder.path)\(fifo)||_vr=84;};".utf8)
        }
        guard !refusals.isEmpty else { return nil }
        let nonce = Nonce()
        var exchange = exchange(
            text + Array("} >/dev/null 2>&1 <&8;(exit $_vr);a \(nonce)".utf8), nonce, begins: false)
        exchange.refusals = refusals
        return exchange
    }

    /// Looks a user up, by builtins, and for a way to become it: `setpriv` of util-linux, or else `su`, as busybox has it.
    private static func becoming(_ user: String) -> String {
        "_vr=81;while IFS=: read -r _vn _vx _vi _vg _vx _vh _vs||[ \"$_vn\" ];do "
            + "[ \"$_vn\" = '\(user)' ]&&{ _vr=0;break;};done </etc/passwd;"
            + "[ $_vr = 0 ]&&case $(id -u) in $_vi)_vw=/bin/sh;;"
            + "0)_vw=\"setpriv --reuid=\(user) --regid=$_vg --init-groups /bin/sh\";"
            + "$_vw -c :||{ _vw=\"su -m -s /bin/sh \(user)\";$_vw -c :||_vr=82;};;"
            + "*)_vr=82;;esac;"
    }
}
