/// The programs that both shells know.
extension Session {
    /// Runs the program of that name; nil when there is none.
    mutating func runProgram(_ arguments: Arguments) -> Int? {
        let name = arguments[0]
        if name == "true" { return 0 }
        if name == "false" { return 1 }
        if name == "echo" {
            var index = 1
            while index < arguments.count {
                if index > 1 { write(" ") }
                write(arguments[index])
                index &+= 1
            }
            endLine()
            return 0
        }
        if name == "hostname" {
            write(hostname)
            endLine()
            return 0
        }
        if name == "uname" || name == "ver" {
            write(isWindows ? "\r\nvmlab probe for Windows labs" : "Probe")
            endLine()
            return 0
        }
        if name == "sleep" { return sleep(arguments[1]) }
        if name == "spin" {
            while !isExiting {
                probe_spin()
                poll()
            }
            return status
        }
        if name == "cat" || name == "type" { return cat(arguments) }
        if name == "cksum" { return checksum(arguments) }
        if name == "net" { return net(arguments) }
        if name == "fault" {
            if arguments[1] == "triple" { probe_triple_fault() }
            let result = probe_try {
                probe_fault()
                return 0
            }
            guard result != 0 else { return 0 }
            // SIGSEGV's status, or STATUS_ACCESS_VIOLATION.
            return fail("the program faulted", Bytes(""), status: crashStatus)
        }
        if name == "panic" { Power.panic("probe was asked to panic") }
        if name == "poweroff" || name == "halt" { Power.off() }
        if name == "reboot" { Power.reset() }
        if name == "shutdown" {
            if arguments[1] == "/r" || arguments[1] == "-r" { Power.reset() }
            Power.off()
        }
        return nil
    }

    private var crashStatus: Int { isWindows ? -1_073_741_819 : 139 }

    /// Seconds, with a fraction if need be.
    private mutating func sleep(_ time: Bytes) -> Int {
        guard let seconds = time.number, seconds >= 0, seconds < 1 << 32 else {
            return fail("sleep: not a time: ", time, status: 1)
        }
        var milliseconds = seconds &* 1000
        var fraction = time.dropping(time.index(of: 0x2e) &+ 1)
        var unit = 100
        while isDigit(fraction[0]) {
            milliseconds &+= Int(fraction[0] &- 0x30) &* unit
            unit /= 10
            fraction = fraction.dropping(1)
        }
        _ = wait(milliseconds: milliseconds)
        return isExiting ? status : 0
    }
}
