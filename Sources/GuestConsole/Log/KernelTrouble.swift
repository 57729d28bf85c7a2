/// What a kernel can say that nobody wants to read, as data.
public struct KernelTrouble: Sendable, Hashable {
    /// What happened to the guest.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case panic, bugcheck, oops, bug, softLockup, hardLockup, hungTask, rcuStall, oomKill, warning
    }

    /// Where in a line the text must stand.
    public enum Place: Sendable, Hashable {
        /// At the start of what the kernel says, behind its time stamp.
        case start
        /// Anywhere in the line.
        case anywhere
    }

    /// What happened to the guest.
    public var kind: Kind
    /// Whether it is the guest's end: nothing that runs in it will answer any more.
    public var isFatal: Bool
    /// All of these occur in the line: the first at `place`, the others anywhere.
    public var texts: [String]
    /// Where the first text stands.
    public var place: Place

    init(_ kind: Kind, fatal: Bool = false, _ texts: String..., place: Place = .start) {
        self.kind = kind
        self.isFatal = fatal
        self.texts = texts
        self.place = place
    }

    /// Linux's and Windows' own words. A program's output does not start a line as the kernel's log does.
    public static let known: [KernelTrouble] = [
        KernelTrouble(.panic, fatal: true, "Kernel panic - not syncing: "),
        KernelTrouble(.oops, "BUG: unable to handle "),
        KernelTrouble(.oops, "BUG: kernel NULL pointer dereference"),
        KernelTrouble(.oops, "Oops: "),
        KernelTrouble(.oops, "general protection fault, "),
        KernelTrouble(.oops, "general protection fault: "),
        KernelTrouble(.oops, "invalid opcode: "),
        KernelTrouble(.oops, "divide error: "),
        KernelTrouble(.oops, "stack segment: "),
        KernelTrouble(.oops, "double fault: "),
        KernelTrouble(.oops, "kernel BUG at "),
        KernelTrouble(.softLockup, "watchdog: BUG: soft lockup - CPU#"),
        KernelTrouble(.softLockup, "BUG: soft lockup - CPU#"),
        KernelTrouble(.hardLockup, "NMI watchdog: Watchdog detected hard LOCKUP"),
        KernelTrouble(.hardLockup, "watchdog: Watchdog detected hard LOCKUP"),
        KernelTrouble(.hungTask, "INFO: task ", " blocked for more than "),
        KernelTrouble(.rcuStall, "rcu: INFO: rcu_", "stall"),
        KernelTrouble(.rcuStall, "INFO: rcu_", "stall"),
        KernelTrouble(.oomKill, "Out of memory: Kill"),
        KernelTrouble(.oomKill, "Memory cgroup out of memory: Kill"),
        KernelTrouble(.bug, "BUG: KASAN: "),
        KernelTrouble(.bug, "BUG: KFENCE: "),
        KernelTrouble(.bug, "BUG: KCSAN: "),
        KernelTrouble(.bug, "BUG: KMSAN: "),
        KernelTrouble(.bug, "UBSAN: "),
        KernelTrouble(.bug, "BUG: sleeping function called from invalid context"),
        KernelTrouble(.bug, "BUG: scheduling while atomic: "),
        KernelTrouble(.bug, "BUG: workqueue lockup"),
        KernelTrouble(.bug, "BUG: Bad "),
        KernelTrouble(.warning, "WARNING: CPU: "),
        KernelTrouble(.bugcheck, fatal: true, "CLASSNAME=\"BLUESCREEN\"", place: .anywhere),
        KernelTrouble(.bugcheck, fatal: true, "!SAC>"),
    ]

    /// Whether `message`, a line without its time stamp, says this.
    func matches(_ message: Substring) -> Bool {
        guard let first = texts.first else { return false }
        guard place == .start ? message.hasPrefix(first) : message.contains(first) else { return false }
        return texts.dropFirst().allSatisfy { message.contains($0) }
    }
}
