import CLinux
import Glibc

/// The system calls that a process may still make: an allow-list that becomes a seccomp program (seccomp(2)). Rules are checked in
/// order, so put frequent calls first. A call without a rule traps: the process prints its number and exits.
public struct SystemCallFilter: Sendable {
    /// The rule for one system call, by its number such as `SYS_read`.
    public enum Rule: Sendable, Hashable {
        /// Allowed.
        case allow(Int32)
        /// Allowed when all conditions hold.
        case allowWhere(Int32, [Condition])
        /// Not made; fails with this errno.
        case fail(Int32, errno: Int32)
    }

    /// A condition on an argument, 0 to 5, of a system call.
    public enum Condition: Sendable, Hashable {
        /// Its low 32 bits are one of at most 200 values.
        case isOneOf(argument: Int, [UInt32])
        /// It has none of these bits.
        case hasNone(argument: Int, of: UInt32)
        /// All its 64 bits are 0: no pointer.
        case isZero(argument: Int)
    }

    /// The rules in the order of their checks.
    public var rules: [Rule]

    /// A filter of these rules.
    public init(_ rules: [Rule]) {
        self.rules = rules
    }

    var program: [sock_filter] {
        // Numbers mean other calls to 32-bit callers; those of the x32 interface match no rule.
        let x86Machine: UInt32 = 0xc000_003e
        let architecture = UInt32(MemoryLayout<seccomp_data>.offset(of: \.arch) ?? 4)
        let number = UInt32(MemoryLayout<seccomp_data>.offset(of: \.nr) ?? 0)
        return [
            Self.load(architecture), Self.skip(ifEqual: x86Machine, 1, else: 0), Self.end(SECCOMP_RET_KILL_PROCESS),
            Self.load(number),
        ] + rules.flatMap(Self.instructions) + [Self.end(SECCOMP_RET_TRAP)]
    }

    /// A rule starts with the call's number loaded, and either returns or leaves it loaded.
    private static func instructions(of rule: Rule) -> [sock_filter] {
        switch rule {
        case .allow(let call):
            return [skip(ifEqual: number(call), 0, else: 1), end(SECCOMP_RET_ALLOW)]
        case .fail(let call, let errno):
            return [skip(ifEqual: number(call), 0, else: 1), end(SECCOMP_RET_ERRNO | UInt32(errno & 0xfff))]
        case .allowWhere(let call, let conditions):
            let checks = conditions.flatMap(Self.instructions) + [end(SECCOMP_RET_ALLOW)]
            return [skip(ifEqual: number(call), 0, else: UInt8(checks.count))] + checks
        }
    }

    /// Continues behind its end when the condition holds, else returns.
    private static func instructions(of condition: Condition) -> [sock_filter] {
        let trap = end(SECCOMP_RET_TRAP)
        switch condition {
        case .isOneOf(let argument, let values):
            // A jump spans at most 255 instructions.
            let values = values.prefix(200)
            let checks = values.enumerated().map { index, value in
                skip(ifEqual: value, UInt8(values.count - index), else: 0)
            }
            return [load(offset(of: argument))] + checks + [trap]
        case .hasNone(let argument, let bits):
            return [load(offset(of: argument)), skip(ifAnyOf: bits, 0, else: 1), trap]
        case .isZero(let argument):
            let low = offset(of: argument)
            return [
                load(low), skip(ifEqual: 0, 1, else: 0), trap, load(low + 4), skip(ifEqual: 0, 1, else: 0), trap,
            ]
        }
    }

    private static func number(_ call: Int32) -> UInt32 { UInt32(bitPattern: call) }

    /// The low half of an argument, on a little-endian machine.
    private static func offset(of argument: Int) -> UInt32 {
        UInt32((MemoryLayout<seccomp_data>.offset(of: \.args) ?? 16) + 8 * (argument & 7))
    }

    private static func load(_ offset: UInt32) -> sock_filter {
        sock_filter(code: UInt16(BPF_LD | BPF_W | BPF_ABS), jt: 0, jf: 0, k: offset)
    }

    private static func skip(ifEqual value: UInt32, _ then: UInt8, else otherwise: UInt8) -> sock_filter {
        sock_filter(code: UInt16(BPF_JMP | BPF_JEQ | BPF_K), jt: then, jf: otherwise, k: value)
    }

    private static func skip(ifAnyOf bits: UInt32, _ then: UInt8, else otherwise: UInt8) -> sock_filter {
        sock_filter(code: UInt16(BPF_JMP | BPF_JSET | BPF_K), jt: then, jf: otherwise, k: bits)
    }

    private static func end(_ action: UInt32) -> sock_filter {
        sock_filter(code: UInt16(BPF_RET | BPF_K), jt: 0, jf: 0, k: action)
    }
}
