import LabSpec

/// Shell code that copies files in a guest; it works with busybox and with the tools of distributions.
enum GuestScript {
    /// The exit status for a path that does not exist.
    static let missing: Int32 = 66
    /// The exit status when the guest does not see the exchange disk.
    static let noDisk: Int32 = 67
    /// The exit status of `pack` when some files were unreadable or changed meanwhile.
    static let incomplete: Int32 = 68
    /// The exit status for an archive that exceeds the limit.
    static let tooMuch: Int32 = 69

    /// The exit status when the exchange disk refused a write because the host has no room for it.
    static let diskRefused: Int32 = 75
    /// The exit status for a pattern that is the literal path of a file.
    static let isPath: Int32 = 70

    /// Special files: the shell's test, the exit status, the name.
    private static let special: [(test: String, status: Int32, name: String)] = [
        ("-c", 72, "a device"), ("-b", 72, "a device"), ("-p", 73, "a FIFO"), ("-S", 74, "a socket"),
    ]
    /// The exit status for a folder where a file is expected.
    private static let folder: Int32 = 71

    /// Exits with a special file's status when `$p` is one: its output is not stored in it and may never end.
    static let refuseSpecial = special.map { "[ ! \($0.test) \"$p\" ] || exit \($0.status)\n" }.joined()

    static let refuseFolder = "[ ! -d \"$p\" ] || exit \(folder)\n"

    /// The reason for an exit status of these scripts.
    static func cause(of status: Int32) -> String? {
        switch status {
        case missing: "there is no such file in the guest"
        case folder: "it is a folder in the guest"
        default: special.first { $0.status == status }.map { "it is \($0.name) in the guest" }
        }
    }

    /// The block size for reading and writing the disk, in bytes.
    static let blockSize = 1 << 18

    static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    /// Sets `$d` to the exchange disk's device, or exits with `noDisk`: a lab's own kernel may lack the driver.
    static let findDisk = """
        for d in /sys/block/*; do s=; read -r s <$d/serial; [ "$s" = \(ExchangeDisk.serial) ] && break; done 2>/dev/null
        [ "$s" = \(ExchangeDisk.serial) ] || exit \(noDisk)
        d=/dev/${d##*/}

        """

    /// Changes to a file's folder and makes its name the only argument, or exits with `missing`. A link given as the path is
    /// followed.
    static func find(_ path: String) -> String {
        """
        p=\(quoted(path))
        [ -e "$p" ] || exit \(missing)
        if [ -L "$p" ]; then p=$(readlink -f -- "$p"; echo .); p=${p%??}; fi
        cd -- "${p%/*}/" || exit
        set -- "./${p##*/}"

        """
    }

    /// Changes to a folder and makes these of its files the arguments.
    static func find(_ paths: [String], in folder: String) -> String {
        "cd -- \(quoted(folder)) || exit\nset -- \(paths.map { quoted("./" + $0) }.joined(separator: " "))\n"
    }

    /// Prints the paths below a folder, NUL-terminated, up to a limit in bytes. Exits with `isPath` when a file has the pattern
    /// as its literal path.
    static func list(_ pattern: String, in folder: String, depth: Int?) -> String {
        """
        [ ! -e \(quoted(pattern)) ] || exit \(isPath)
        cd -- \(quoted(folder)) 2>/dev/null || exit \(missing)
        find . -mindepth 1 \(depth.map { "-maxdepth \($0) " } ?? "")-print0 2>/dev/null
        """
    }

    /// The function `pack`: archives its arguments, paths in the working folder that begin with `./`, to standard output. tar
    /// trusts a file's length, which is useless in `/proc` and similar (file systems without blocks): without vmlab-files such
    /// files are copied first.
    static let pack = """
        pack() {
          if command -v vmlab-files >/dev/null; then vmlab-files pack "$@"; return; fi
          if [ "$(stat -f -c %b . 2>/dev/null)" = 0 ] && s=$(mktemp -d); then
            for f; do mkdir -p -- "$s/${f%/*}" && cp -RP -- "$f" "$s/$f"; done
            (cd "$s" && archive "$@")
            set -- $?
            rm -rf "$s"
            return $1
          fi
          archive "$@"
        }
        archive() {
          case $(tar --version 2>/dev/null) in
          *GNU*) tar --format=posix --sparse --xattrs -cf - "$@" ;;
          *) tar -cf - "$@"; return ;;
          esac
          r=$?
          if [ $r = 1 ]; then return \(incomplete); fi
          return $r
        }

        """

    /// Writes the output of `pack` to the exchange disk. Exits with `tooMuch` beyond the limit in bytes, and with `diskRefused` when
    /// the disk did not take it: only fsync(2) reports that, `blockdev` drops such errors.
    static func packToDisk(limit: UInt64) -> String {
        """
        r=$({ { pack "$@"; echo $? >&3; } | {
          dd of=$d bs=\(blockSize) iflag=fullblock conv=fsync count=\(limit / UInt64(blockSize) + 1) 2>/dev/null \
            || echo \(diskRefused) >&3
          [ "$(dd bs=1 count=1 2>/dev/null | wc -c)" -eq 0 ] || echo \(tooMuch) >&3
        } } 3>&1)
        blockdev --flushbufs $d || exit
        case $r in *\(diskRefused)*) exit \(diskRefused) ;; *\(tooMuch)*) exit \(tooMuch) ;; esac
        exit $r
        """
    }

    /// Writes the output of `pack` to the console, without tar's warnings.
    static let packAsBytes = #"pack "$@" 2>/dev/null"#

    /// The same in Base64, for a console that is shared with the kernel.
    static let packAsText = #"""
        { r=$({ { pack "$@" 2>/dev/null; echo $? >&3; } | base64 >&4; } 3>&1); } 4>&1
        exit $r
        """#

    /// The function `unpack`: extracts the archive on standard input, relative to the root.
    static let unpack = """
        unpack() {
          cd / || return
          if command -v vmlab-files >/dev/null; then vmlab-files unpack; return; fi
          case $(tar --version 2>/dev/null) in
          *GNU*) tar --xattrs --xattrs-include='user.*' -xf - ;;
          *) tar -xf - ;;
          esac
        }

        """

    /// Exits with 0 when the unpacking tool supports sparse files.
    static let knowsHoles = """
        command -v vmlab-files >/dev/null || case $(tar --version 2>/dev/null) in *GNU*) ;; *) exit 1 ;; esac
        """
}
