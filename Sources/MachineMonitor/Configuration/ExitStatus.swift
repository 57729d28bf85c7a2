/// What `vmlab-vmm` ends with. Part of its interface: README.md describes it.
public enum ExitStatus: Int32, Sendable, Hashable {
    /// The guest powered itself off, or its owner ended it: `quit`, a signal, Ctrl-A x.
    case poweredOff = 0
    /// The guest's kernel panicked and it did not go on, or a processor met an error it cannot go on from.
    case guestFailed = 1
    /// The command line or the configuration is wrong; also a kernel that is none.
    case usage = 2
    /// The host lacks something or refused it: `/dev/kvm`, memory, a file, a socket.
    case hostTrouble = 3
}
