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

    /// Goes to the folder of a file and sets `$n` to its name, or ends with `missing`. A link that is named itself stands for
    /// what it leads to.
    static func find(_ path: String) -> String {
        """
        p=\(quoted(path))
        [ -e "$p" ] || exit \(missing)
        if [ -L "$p" ]; then p=$(readlink -f -- "$p"; echo .); p=${p%??}; fi
        cd -- "${p%/*}/" || exit
        n=${p##*/}

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
            cp -RP -- "$@" "$s"
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

    /// Writes what `pack` makes of `$n` to the exchange disk, or ends with `tooMuch` for more than so many bytes.
    static func packToDisk(limit: UInt64) -> String {
        """
        r=$({ { pack "./$n"; echo $? >&3; } | {
          dd of=$d bs=\(blockSize) iflag=fullblock count=\(limit / UInt64(blockSize) + 1) 2>/dev/null
          [ "$(dd bs=1 count=1 2>/dev/null | wc -c)" -eq 0 ] || echo \(tooMuch) >&3
        } } 3>&1)
        blockdev --flushbufs $d || exit
        case $r in *\(tooMuch)*) exit \(tooMuch) ;; esac
        exit $r
        """
    }
}
