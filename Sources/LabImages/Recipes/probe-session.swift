/// One command's arguments, the name first; they lie on a stack that nested commands push their own onto.
struct Arguments {
    let start: UnsafeMutablePointer<Bytes>
    let count: Int

    subscript(index: Int) -> Bytes { index < count ? start[index] : Bytes("") }
}

/// Where a command's output goes.
enum Output {
    case channel
    /// `>lab/task.bat`, which the host writes before it has it run.
    case batchFile
    /// `>/dev/null`.
    case nowhere
}

/// What the shells share: variables, the stack of words, the output, and who waits or is to stop.
struct Session {
    var hostname: Bytes
    let isWindows: Bool
    var output = Output.channel
    /// The status of the last command.
    var status = 0
    /// Whether what runs is to end: `exit`, or Ctrl-C.
    var isExiting = false
    var words = Memory.words
    var variables = Memory.variables
    /// Whether the batch command that runs is redirected to nowhere.
    var batchTarget = false
    /// How much of the variables is of the shells around this subshell.
    var outerVariables = 0
    /// Whose frames wait in the card until they are asked for.
    var network: NetworkCard?
    var batchFile = Memory.batchFile
    /// Typed ahead while a command runs.
    var typed = Memory.typed
    private var argumentCount = 0

    init(_ settings: Settings) {
        hostname = settings.hostname
        isWindows = settings.isWindows
        network = NetworkCard()
    }

    // MARK: Output

    mutating func write(_ text: Bytes) {
        switch output {
        case .channel: channel.write(text)
        case .batchFile: batchFile.append(text)
        case .nowhere: break
        }
    }

    mutating func write(_ text: StaticString) { write(Bytes(text)) }

    mutating func endLine() { write(isWindows ? "\r\n" : "\n") }

    /// Says why a program failed, and its status.
    mutating func fail(_ reason: StaticString, _ subject: Bytes, status: Int) -> Int {
        write(reason)
        write(subject)
        endLine()
        return status
    }

    // MARK: Variables

    /// `name=value`, NUL behind each. A subshell's hide those outside, and are cut off at its end.
    mutating func set(_ name: Bytes, to value: Bytes) {
        unset(name)
        variables.append(name)
        variables.append(0x3d)
        variables.append(value)
        variables.append(0)
    }

    private mutating func unset(_ name: Bytes) {
        var offset = outerVariables
        while offset < variables.count {
            let rest = variables.bytes.dropping(offset)
            let entry = rest.prefix(rest.index(of: 0))
            if isKey(entry.prefix(entry.index(of: 0x3d)), name) {
                variables.cut(entry.count &+ 1, at: offset)
                return
            }
            offset &+= entry.count &+ 1
        }
    }

    /// Letters of both cases are the same to Windows.
    private func isKey(_ key: Bytes, _ name: Bytes) -> Bool { isWindows ? key.isSameWord(as: name) : key == name }

    /// A variable's value; empty when there is none.
    func value(of name: Bytes) -> Bytes {
        var rest = variables.bytes
        var value = Bytes("")
        while !rest.isEmpty {
            let entry = rest.prefix(rest.index(of: 0))
            let key = entry.prefix(entry.index(of: 0x3d))
            if isKey(key, name) { value = entry.dropping(key.count &+ 1) }
            rest = rest.dropping(entry.count &+ 1)
        }
        return value
    }

    // MARK: Arguments

    /// How many arguments lie on the stack: where the next command's begin.
    var argumentMark: Int { argumentCount }

    mutating func push(_ word: Bytes) {
        guard argumentCount < Memory.argumentLimit else { return }
        Memory.arguments[argumentCount] = word
        argumentCount &+= 1
    }

    func arguments(from mark: Int) -> Arguments {
        Arguments(start: Memory.arguments + mark, count: argumentCount &- mark)
    }

    mutating func cutArguments(to mark: Int) { argumentCount = mark }

    // MARK: Waiting

    /// Takes what was typed meanwhile. Ctrl-C ends what runs.
    mutating func poll() {
        while let byte = channel.read() {
            if byte == 3 { interrupt() } else { typed.append(byte) }
        }
    }

    /// Ends what runs as Ctrl-C does: SIGINT's status, or STATUS_CONTROL_C_EXIT.
    private mutating func interrupt() {
        isExiting = true
        status = isWindows ? -1_073_741_510 : 130
    }

    /// Waits without using the processor until `isOver`, a time in milliseconds, or Ctrl-C. Returns whether it was `isOver`.
    mutating func wait(milliseconds: Int, until isOver: () -> Bool = { false }) -> Bool {
        var left = milliseconds
        while left > 0 {
            let part = left < 1000 ? left : 1000
            left &-= part
            Interrupts.startTimer(nanoseconds: UInt32(truncatingIfNeeded: part &* 1_000_000))
            while Interrupts.isTimerRunning {
                poll()
                if isExiting || isOver() {
                    Interrupts.stopTimer()
                    return !isExiting
                }
                probe_wait()
            }
        }
        return isOver()
    }
}

extension Bytes {
    /// Whether both are the same but for the case of letters.
    func isSameWord(as other: Bytes) -> Bool {
        guard count == other.count else { return false }
        var index = 0
        while index < count {
            let one = start[index], two = other.start[index]
            if one != two, one ^ two != 0x20 || !isLetter(one) { return false }
            index &+= 1
        }
        return true
    }
}
