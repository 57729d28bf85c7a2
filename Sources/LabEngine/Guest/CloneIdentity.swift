import Glibc
import LabSpec

/// What makes a clone another guest than the one that it was: a script for its plumbing shell, made anew for each clone.
///
/// In emulation each process costs milliseconds, so as much as possible is done by the shell itself.
enum CloneIdentity {
    /// The script for guest number `number`, called `name`, at this moment.
    static func script(_ name: String, number: Int, from snapshot: GuestSnapshot, on networks: LabNetworks) -> String {
        let isWindows = snapshot.planned.os == .windows
        var lines = naming(name, formerly: snapshot.planned.guest.name, isWindows: isWindows)
        lines += networks.readdressing(of: number, from: snapshot.cards)
        let hosts = networks.hosts(of: number).filter { isWindows || !snapshot.knownHosts.contains($0) }
        if !hosts.isEmpty { lines += LabNetworks.naming(hosts) }
        return lines.joined(separator: "\n")
    }

    /// What a guest runs before it is saved for clones: the same on itself, so that its clones find their programs in memory.
    static func rehearsal(_ name: String, os: GuestOS) -> String {
        naming(name, formerly: name, isWindows: os == .windows).joined(separator: "\n")
    }

    private static func naming(_ name: String, formerly: String, isWindows: Bool) -> [String] {
        let lines = [
            "echo \(name) > /proc/sys/kernel/hostname || exit",
            "[ ! -f /etc/hostname ] || echo \(name) > /etc/hostname",
            // The Windows computer name; this writes /etc/hosts anew.
            isWindows ? "[ ! -x /sbin/vmlab-rename ] || vmlab-rename \(name) || exit" : "",
            "busybox sed -i 's/^\\(127[^#]*\\) \(formerly.replacing(".", with: "\\."))$/\\1 \(name)/' /etc/hosts",
            "for f in /etc/machine-id /var/lib/dbus/machine-id; do",
            "    [ ! -s $f ] || [ -L $f ] || echo \(machineID()) > $f",
            "done",
            "busybox date -u -s @\(time(nil)) > /dev/null || exit",
        ]
        return lines.filter { !$0.isEmpty } + reseed
    }

    /// 32 hexadecimal digits in the form of a random UUID, as systemd makes them.
    private static func machineID() -> String {
        var bytes = randomBytes(16)
        bytes[6] = bytes[6] & 0x0f | 0x40
        bytes[8] = bytes[8] & 0x3f | 0x80
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func randomBytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max) }
    }

    /// Gives the kernel random bytes of the host's, and has it draw its generator's key from them now. What is written to
    /// /dev/urandom is only mixed in, and the next key may be a minute away; the request to draw one, `RNDRESEEDCRNG`,
    /// is in no shell's tools. ENODATA (61) is the answer of a generator that has no key yet.
    private static var reseed: [String] {
        let program = "/tmp/.vmlab-reseed"
        return [
            "printf '\(escaped(randomBytes(64)))' > /dev/urandom || exit",
            "printf '\(escaped(reseedProgram))' > \(program) && busybox chmod 700 \(program) || exit",
            "\(program) < /dev/urandom || [ $? = 61 ] || { echo its random numbers could not be renewed; exit 1; }",
            "busybox rm \(program)",
        ]
    }

    private static func escaped(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 8)
            return "\\" + String(repeating: "0", count: 3 - digits.count) + digits
        }.joined()
    }

    /// A program that does `ioctl(0, RNDRESEEDCRNG)` and exits with the errno.
    static let reseedProgram: [UInt8] = {
        let code: [UInt8] = [
            0xb8, 16, 0, 0, 0,  // mov eax, ioctl
            0x31, 0xff,  // xor edi, edi
            0xbe, 0x07, 0x52, 0, 0,  // mov esi, RNDRESEEDCRNG
            0x0f, 0x05,  // syscall
            0x97,  // xchg eax, edi
            0xf7, 0xdf,  // neg edi
            0xb8, 60, 0, 0, 0,  // mov eax, exit
            0x0f, 0x05,  // syscall
        ]
        func word(_ value: UInt64, _ size: Int) -> [UInt8] {
            (0..<size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        let base: UInt64 = 0x400000
        let size = UInt64(64 + 56 + code.count)
        // The file's header: 64-bit, little-endian, an executable for x86-64, one program header behind this one.
        var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0] + word(0, 8) + word(2, 2) + word(62, 2) + word(1, 4)
        file += word(base + 120, 8) + word(64, 8) + word(0, 8) + word(0, 4)
        file += word(64, 2) + word(56, 2) + word(1, 2) + word(64, 2) + word(0, 2) + word(0, 2)
        // The whole file is loaded, readable and executable.
        file += word(1, 4) + word(5, 4) + word(0, 8) + word(base, 8) + word(base, 8)
        file += word(size, 8) + word(size, 8) + word(0x1000, 8)
        return file + code
    }()
}
