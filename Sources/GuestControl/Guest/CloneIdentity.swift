import Glibc
import HostSystem
import LabSpec

/// A clone's own identity: commands for its shells that set its name, addresses, machine id, random seed and clock.
///
/// In emulation a clone's first process costs 100 ms, because the guest's kernel is cold. Therefore our images have programs
/// (`vmlab-identity.c`, `vmlab-rename.c` in Recipes/) that were started before the clone was saved and wait for the identity;
/// guests without them run a script.
struct CloneIdentity: Sendable {
    private let name: String
    private let formerly: String
    private let isWindows: Bool
    private let cards: [LabNetworks.CardChange]
    private let hasOutside: Bool
    private let hosts: [String]

    /// The identity of guest number `number`, called `name`, restored from `snapshot`.
    init(_ name: String, number: Int, from snapshot: GuestSnapshot, on networks: LabNetworks) {
        self.name = name
        formerly = snapshot.planned.guest.name
        isWindows = snapshot.planned.os == .windows
        cards = networks.changes(of: number, from: snapshot.cards)
        hasOutside = !cards.isEmpty && networks.hasOutside(number)
        hosts = networks.hosts(of: number).lines.filter { !snapshot.knownHosts.contains($0) }
    }

    /// The guest's own identity, set once more before it is saved for clones, so that the programs are in memory and waiting.
    init(again name: String, os: GuestOS) {
        self.name = name
        formerly = name
        isWindows = os == .windows
        cards = []
        hasOutside = false
        hosts = []
    }

    /// Variables for cmd.exe: its child processes inherit these, not the registry's.
    var variables: [(name: String, value: String)] {
        guard isWindows else { return [] }
        let name = String(self.name.prefix { $0 != "." }.prefix(15)).uppercased()
        return [("COMPUTERNAME", name), ("USERDOMAIN", name), ("LOGONSERVER", "\\\\\(name)")]
    }

    /// A line for the control shell; it starts no process where the programs wait. Its status is 127 where the guest has no
    /// such program.
    var line: String {
        var lines = [Self.ask("identity", "vmlab-identity", words.joined(separator: " "))]
        if isWindows { lines.append(Self.ask("rename", "vmlab-rename", name)) }
        if hasOutside { lines.append(NetworkScript.nameServer) }
        if !hosts.isEmpty {
            lines.append("printf '%s\\n' \(hosts.map { "'\($0)'" }.joined(separator: " ")) >>/etc/hosts")
        }
        return lines.joined(separator: "&&")
    }

    /// Sends words to the waiting program, or starts it so that it waits for the next ones. dash's `read` knows no time limit and
    /// says so with status 2: there only the boot's deadline ends the wait.
    private static func ask(_ resident: String, _ program: String, _ words: String) -> String {
        let fifo = "/run/vmlab/\(resident)"
        return "if read -r p <\(fifo).pid&&kill -0 $p;then echo \(words) >\(fifo);"
            + "{ read -r -t 60 p||{ [ $? = 2 ]&&read -r p;};} <\(fifo).answer 2>/dev/null;"
            + "[ \"$p\" = ok ]||{ echo \"$p\";false;};else \(program) \(words);fi"
    }

    /// A line for the control shell that sets the clock of a guest that was paused.
    static var clock: String {
        let time = now
        let seconds = time.prefix { $0 != "." }
        // GNU's `date` accepts fractions, busybox's does not.
        return
            "{ \(ask("identity", "vmlab-identity", "time=\(time)"));} >/dev/null 2>&1||date -u -s @\(time) >/dev/null 2>&1"
            + "||date -u -s @\(seconds) >/dev/null 2>&1||busybox date -u -s @\(seconds) 2>&1 >/dev/null"
    }

    /// The time in seconds since 1970, with a fraction.
    private static var now: String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let fraction = String(now.tv_nsec)
        return "\(now.tv_sec).\(String(repeating: "0", count: max(0, 9 - fraction.count)))\(fraction)"
    }

    private var words: [String] {
        [
            "host=\(name),\(formerly)", "id=\(Self.machineID())", "time=\(Self.now)",
            "seed=\(Self.hexadecimal(Self.randomBytes(64)))",
        ] + cards.map { "card=\($0.former),\($0.mac),\($0.address)" }
            + (hasOutside ? ["gateway=\(OutsideLink.router)"] : [])
    }

    /// The identity as a script, for guests without our programs.
    var script: String {
        var lines = naming + NetworkScript.readdressing(cards)
        if hasOutside { lines += NetworkScript.outside }
        lines += NetworkScript.names(adding: hosts)
        return lines.joined(separator: "\n")
    }

    private var naming: [String] {
        let lines = [
            // A system of another make has either its own tools or busybox.
            "either() { if command -v $1 > /dev/null; then \"$@\"; else busybox \"$@\"; fi; }",
            "[ \"$(id -u)\" = 0 ] || { echo only root can give it a name; exit 1; }",
            "echo \(name) > /proc/sys/kernel/hostname || exit",
            "[ ! -f /etc/hostname ] || echo \(name) > /etc/hostname",
            isWindows ? "[ ! -x /sbin/vmlab-rename ] || vmlab-rename \(name) || exit" : "",
            "either sed -i 's/^\\(127[^#]*\\) \(formerly.replacing(".", with: "\\."))$/\\1 \(name)/' /etc/hosts",
            "for f in /etc/machine-id /var/lib/dbus/machine-id; do",
            "    [ ! -s $f ] || [ -L $f ] || echo \(Self.machineID()) > $f",
            "done",
            "either date -u -s @\(time(nil)) > /dev/null || exit",
        ]
        return lines.filter { !$0.isEmpty } + Self.reseed
    }

    /// 32 hexadecimal digits in the form of a random UUID, as systemd makes them.
    private static func machineID() -> String {
        var bytes = randomBytes(16)
        bytes[6] = bytes[6] & 0x0f | 0x40
        bytes[8] = bytes[8] & 0x3f | 0x80
        return hexadecimal(bytes)
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func randomBytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max) }
    }

    /// Gives the kernel random bytes from the host and has it reseed now. A write to /dev/urandom is only mixed in, and the next
    /// reseed may be a minute away; no shell tool offers `RNDRESEEDCRNG`. ENODATA (61) means that the generator is not seeded yet.
    private static var reseed: [String] {
        let program = "/tmp/.vmlab-reseed"
        return [
            "printf '\(escaped(randomBytes(64)))' > /dev/urandom || exit",
            "printf '\(escaped(reseedProgram))' > \(program) && either chmod 700 \(program) || exit",
            "\(program) < /dev/urandom || [ $? = 61 ] || { echo its random numbers could not be renewed; exit 1; }",
            "either rm \(program)",
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
        // The ELF header: 64-bit, little-endian, an x86-64 executable, one program header after this one.
        var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0] + word(0, 8) + word(2, 2) + word(62, 2) + word(1, 4)
        file += word(base + 120, 8) + word(64, 8) + word(0, 8) + word(0, 4)
        file += word(64, 2) + word(56, 2) + word(1, 2) + word(64, 2) + word(0, 2) + word(0, 2)
        // The whole file is loaded, readable and executable.
        file += word(1, 4) + word(5, 4) + word(0, 8) + word(base, 8) + word(base, 8)
        file += word(size, 8) + word(size, 8) + word(0x1000, 8)
        return file + code
    }()
}
