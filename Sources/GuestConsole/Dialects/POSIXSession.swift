/// The functions of a session's resident POSIX shell, typed as one line before its first command.
///
/// Its markers and its commands' output go through its own pipe to a `cat` that writes them to the port, which is descriptor 6.
/// Background processes of a command still hold that pipe; so a command that finds new orphans in the guest gets another pipe, and
/// the old one is drained from then on. A guest without descriptor 6, a writable folder or the lists of `/proc` uses one pipe, or a
/// new one for each command.
///
/// A child of the shell waits for a signal that the terminal sends (`forceKey`), whatever the shell does meanwhile. It kills
/// everything that the shell's command has started, and nothing else: nothing of another terminal session, unless the whole system
/// belongs to this one (an image of vmlab's own), and never process 1, the session's first, the shell, or earlier processes.
enum POSIXSession {
    /// Ends a command by force. The terminal takes it for the suspend character; no text in UTF-8 has this byte.
    static let forceKey: UInt8 = 0xfe

    /// The settings of a terminal that is a session's, for `stty`.
    static let terminal = "raw -echo isig intr ^C quit undef susp \(forceKey) noflsh"

    /// When repeated to a shell restored from a snapshot, it starts no process, which a fresh clone would wait for.
    static let setup = Array(
        ([preparation, markers, look, end, newPipe, kill, begin].joined(separator: ";") + "\n").utf8)

    /// `__c` is Ctrl-C, which cannot be typed as itself, and descriptor 8 is every command's empty input, opened once. The
    /// shell's own standard error is closed, so that its remarks ("Killed") are not taken for output.
    private static let preparation =
        #"trap : INT;exec 8</dev/null 2>/dev/null;trap : TSTP;: "${__c:=$(printf "\003")}""#

    /// `v NONCE SCRIPT PREPARATION OPTIONS` is all that a command needs: one process, which becomes the script's shell. `b`
    /// prints the begin marker, `a` the end marker with the status of what is before it, once the terminal is the session's again
    /// that a command has had (`__t`).
    ///
    /// The begin marker has only 32 bits of the nonce: each byte of a serial port costs an emulated guest dearly, and
    /// all it must differ from is what came late from earlier commands. The end marker has all 128.
    private static let markers =
        #"b(){ o;printf "\036%.8s+" "$1";};a(){ set -- $1 $?;eval "$__t";__t=;printf "\036$1-%d\n" $2;};"#
        + #"v(){ b "$1";(eval "$3";exec /bin/sh "${4:--c}" "$2" sh)"# + POSIXShell.input + #";a "$1";}"#

    /// `o` looks whether there are new orphans, and takes another pipe if so. It starts no process.
    private static let look =
        #"o(){ [ "$__d" ]||return;__l=;read -r __l <$__i;[ "$__l" ]&&[ "$__l" = "$__k" ]||n;}"#

    /// `x FILE` kills the process whose number is in the file, unless another one that is not of this session has it by now.
    private static let end =
        "x(){ read -r __p <$1&&read -r __l </proc/$__p/stat&&set -- ${__l##*) }&&"
        + #"[ "$4" = "$__a" ]&&kill -9 $__p;}"#

    /// `n` takes another pipe: a FIFO in the folder `__d`, whose name goes at the next one. Its reader yields to the shell and
    /// the programs: instead of waking between a command's begin marker, its output and its end marker, at the price of two
    /// switches of address space each time, it carries all of them at once. The old reader has carried all up to the end
    /// marker by now. What `k` needs to know is written to a file, as the process that it runs in was forked long
    /// ago; the session's own two processes by their numbers, since the kernel's list leaves out some that live when others end
    /// while it is read.
    private static let newPipe =
        "n(){ __n=$((__n+1));__o=$__f;__f=$__d/$$.$__n;mkfifo $__f&&exec 5<>$__f||return;"
        + #"if [ "$__o" ];then exec 7<$__o;(trap "" TSTP;cat <&7 >/dev/null 5<&- 6>&- 7<&- 8<&- &);exec 7<&-;"#
        + "x $__d/p;rm -f $__o;fi;"
        + #"(trap "" TSTP;$__q cat <$__f >&6 5<&- 8<&- & echo $! >$__d/p);exec >$__f 5<&-;"#
        + "__k=;read -r __k <$__i;read -r __l <$__d/q;read -r __p <$__d/p;"
        + #"echo "__r=$__r __a=$__a __e=$__e __k='${__k:+$__k $__l $__p}'" >$__d/k;}"#

    /// `k` kills all that the command has started. It stops each process before it looks for its children, until there are no
    /// more. Orphans count if they are new and of this session; where all is this session's (`__e`), all that are new.
    private static let kill =
        "k(){ [ -r $__d/k ]&&. $__d/k;__v=;__s=1;while [ $__s ];do __s=;for __p in /proc/[0-9]*/stat;do "
        + #"read -r __l <$__p||continue;__p=${__l%% *};case " 1 $$ $__a $__k $__v " in *" $__p "*)continue;;esac;"#
        + "set -- ${__l##*) };case $2 in $$);;"
        + #"$__r)[ "$__k" ]&&[ "$4" = "$__a" -o "$__e" ]||continue;;"#
        + #"*)case " $__v " in *" $2 "*);;*)continue;esac;esac;"#
        + #"kill -STOP $__p;__v="$__v $__p";__s=1;done;done;[ "$__v" ]&&kill -KILL $__v;kill -CONT $$;}"#

    /// Once: the folder, the shell's session (`__a`), the process that waits for the signal, and the first pipe; those of a shell
    /// whose place this one takes go. The process is an orphan, so its parent is who adopts orphans here (`__r`). It goes before all
    /// others, of whom a command may have started a thousand.
    private static let begin =
        #"w(){ nice -n 19 true&&__q="nice -n 19";"#
        + "read -r __l </proc/$$/stat;set -- ${__l##*) };__a=$4;__e=;"
        + #"read -r __l </run/vmlab/leader&&[ "$__l" = "$__a" ]&&__e=1;"#
        + "x $__d/p;x $__d/q;[ -p $__d/g ]||mkfifo $__d/g;"
        + "((trap k TSTP;exec 5<>$__d/g 6>&- 8<&- >/dev/null;while :;do read -r __l <&5;done)& echo $! >$__d/q);"
        + "read -r __p <$__d/q;read -r __l </proc/$__p/stat;set -- ${__l##*) };"
        + "__r=$2 __i=/proc/$2/task/$2/children;chrt -f -p 1 $__p;n;};"
        + #"[ "$__d" ]||if true >&6;then for __d in $TMPDIR /run /dev/shm /tmp;do "#
        + "__d=$__d/vmlab.$PPID;[ -d $__d ]||mkdir -m 700 $__d&&w&&break;__d=;done;fi"
}
