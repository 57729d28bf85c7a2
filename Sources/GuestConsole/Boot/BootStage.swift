/// A guest's progress as its console shows it.
public enum BootStage: Int, Sendable, Hashable, Comparable {
    case silent, firmware, bootLoader, kernel, userland

    /// Whether one comes before the other.
    public static func < (one: BootStage, other: BootStage) -> Bool { one.rawValue < other.rawValue }

    /// The same as a clause about the guest.
    public var sentence: String {
        switch self {
        case .silent: "it has printed nothing on its console"
        case .firmware: "its firmware ran, and nothing after it has used the console"
        case .bootLoader: "its boot loader ran, and nothing after it has used the console"
        case .kernel: "its kernel started, and no program after it has used the console"
        case .userland: "its programs run, but it has shown no known prompt"
        }
    }

    /// Texts that identify a stage, in lines outside the kernel's log.
    private static let signs: [(stage: BootStage, texts: [String])] = [
        (
            .firmware,
            [
                "SeaBIOS", "Booting from ", "Boot failed", "No bootable", "iPXE", "PXE", "Machine UUID", "BdsDxe",
                "UEFI",
                "Press ESC", "Press F2", "Tiano",
            ]
        ),
        (
            .bootLoader,
            [
                "GRUB", "grub", "U-Boot", "stop autoboot", "SYSLINUX", "ISOLINUX", "EXTLINUX", "LILO", "systemd-boot",
                "Loading Linux", "Loading initial ramdisk", "Booting `",
            ]
        ),
        (.kernel, ["Linux version ", "Decompressing Linux", "Booting the kernel", "early console in", "EFI stub:"]),
        (.userland, [" ttyS", "systemd", "Welcome to ", "  OK  ]", "INIT:", "OpenRC", "cloud-init"]),
    ]

    /// The stage that a line shows, given without the kernel's log messages.
    func advanced(by line: Substring) -> BootStage {
        guard !line.allSatisfy(\.isWhitespace) else { return self }
        if let sign = Self.signs.first(where: { $0.texts.contains { line.contains($0) } }) {
            return max(self, sign.stage)
        }
        // Firmware and boot loader menus have arbitrary words; other output first or after a kernel is from a program of the guest.
        return self == .firmware || self == .bootLoader ? self : max(self, .userland)
    }
}
