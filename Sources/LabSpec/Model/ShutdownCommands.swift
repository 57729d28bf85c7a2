/// Commands for a guest's shell that power it off or reboot it, after it has written everything to its disks.
public struct ShutdownCommands: Sendable, Hashable {
    /// Powers it off; nil for a guest that is asked by its power button.
    public var powerOff: String?
    /// Reboots it; nil for a guest that can only be reset.
    public var reboot: String?

    /// Commands as given.
    public init(powerOff: String? = nil, reboot: String? = nil) {
        self.powerOff = powerOff
        self.reboot = reboot
    }

    /// The commands of an image with this console.
    public init(of console: ConsoleSpec, isFreestanding: Bool) {
        if isFreestanding {
            self.init(powerOff: "poweroff", reboot: "reboot")
        } else if console.announces {
            // Our own images do not react to a power button and need no slow shutdown.
            self.init(powerOff: "sync; busybox poweroff -f", reboot: "sync; busybox reboot -f")
        } else {
            switch console.dialect {
            case .sh: self.init(reboot: "sync; reboot")
            case .sac: self.init(reboot: "shutdown /r /t 0")
            case .uefi: self.init(reboot: "reset")
            case .cmd: self.init()
            }
        }
    }
}
