import LabSpec

/// Shell text by which a guest's POSIX shell copies files; it runs on busybox and on whatever a distribution has.
enum GuestScript {
    /// The exit status for a path that does not exist.
    static let missing: Int32 = 66
    /// The exit status where the guest does not see the exchange disk.
    static let noDisk: Int32 = 67
    /// The exit status of `pack` when some files could not be read, or changed meanwhile.
    static let incomplete: Int32 = 68
    /// The exit status for an archive that is larger than it may be.
    static let tooMuch: Int32 = 69

    /// The exit status for a pattern that is the path of a file.
    static let isPath: Int32 = 70

    /// What is no file to copy: the test that tells it, the exit status for it, and what it is.
    private static let special: [(test: String, status: Int32, name: String)] = [
        ("-c", 72, "a device"), ("-b", 72, "a device"), ("-p", 73, "a FIFO"), ("-S", 74, "a socket"),
    ]
    /// The exit status for a folder where a file is wanted.
    private static let folder: Int32 = 71

    /// Ends with a status that says so where `$p` is no file and no folder: what comes out of it is not kept there, and may never
    /// end.
    static let refuseSpecial = special.map { "[ ! \($0.test) \"$p\" ] || exit \($0.status)\n" }.joined()

    /// The same where it is a folder.
    static let refuseFolder = "[ ! -d \"$p\" ] || exit \(folder)\n"

    /// Why a script ended, where its exit status says it.
    static func cause(of status: Int32) -> String? {
        switch status {
        case missing: "there is no such file in the guest"
        case folder: "it is a folder in the guest"
        default: special.first { $0.status == status }.map { "it is \($0.name) in the guest" }
        }
    }

    /// How much goes to and from the disk at a time, in bytes.
    static let blockSize = 1 << 18

    /// Text that stands for itself.
    static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    /// Sets `$d` to the exchange disk's device, or ends with `noDisk`: a kernel of the lab's own may have no driver for it.
    static let findDisk = """
        for d in /sys/block/*; do s=; read -r s <$d/serial; [ "$s" = \(ExchangeDisk.serial) ] && break; done 2>/dev/null
        [ "$s" = \(ExchangeDisk.serial) ] || exit \(noDisk)
        d=/dev/${d##*/}

        """

    /// Goes to the folder of a file and makes its name the only argument, or ends with `missing`. A link that is named itself
    /// stands for what it leads to.
    static func find(_ path: String) -> String {
        """
        p=\(quoted(path))
        [ -e "$p" ] || exit \(missing)
        if [ -L "$p" ]; then p=$(readlink -f -- "$p"; echo .); p=${p%??}; fi
        cd -- "${p%/*}/" || exit
        set -- "./${p##*/}"

        """
    }

    /// Goes to a folder and makes these of its files the arguments.
    static func find(_ paths: [String], in folder: String) -> String {
        "cd -- \(quoted(folder)) || exit\nset -- \(paths.map { quoted("./" + $0) }.joined(separator: " "))\n"
    }

    /// Prints the paths below a folder, each with a NUL after it, at most so many bytes of them. Where the pattern itself is a
    /// file's path it is that alone that is meant: then it ends with `isPath`.
    static func list(_ pattern: String, in folder: String, depth: Int?) -> String {
        """
        [ ! -e \(quoted(pattern)) ] || exit \(isPath)
        cd -- \(quoted(folder)) 2>/dev/null || exit \(missing)
        find . -mindepth 1 \(depth.map { "-maxdepth \($0) " } ?? "")-print0 2>/dev/null
        """
    }

    /// A function that writes the files of its arguments in the working folder, whose paths begin with `./`, as an archive to
    /// its output.
    ///
    /// tar believes what a file says of its length, and those of `/proc` and its like (on file systems without blocks) say
    /// nothing of use: where there is no vmlab-files they are copied first.
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

    /// Writes what `pack` makes of the arguments to the exchange disk, or ends with `tooMuch` for more than so many bytes.
    static func packToDisk(limit: UInt64) -> String {
        """
        r=$({ { pack "$@"; echo $? >&3; } | {
          dd of=$d bs=\(blockSize) iflag=fullblock count=\(limit / UInt64(blockSize) + 1) 2>/dev/null
          [ "$(dd bs=1 count=1 2>/dev/null | wc -c)" -eq 0 ] || echo \(tooMuch) >&3
        } } 3>&1)
        blockdev --flushbufs $d || exit
        case $r in *\(tooMuch)*) exit \(tooMuch) ;; esac
        exit $r
        """
    }

    /// Writes what `pack` makes of the arguments to the console. What tar remarks must not get into it.
    static let packAsBytes = #"pack "$@" 2>/dev/null"#

    /// The same in Base64, for a console that people read too.
    static let packAsText = #"""
        { r=$({ { pack "$@" 2>/dev/null; echo $? >&3; } | base64 >&4; } 3>&1); } 4>&1
        exit $r
        """#

    /// A function that unpacks the archive of its input, from the root on.
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

    /// Whether what `unpack` uses knows holes: ends with 0 if so.
    static let knowsHoles = """
        command -v vmlab-files >/dev/null || case $(tar --version 2>/dev/null) in *GNU*) ;; *) exit 1 ;; esac
        """
}
