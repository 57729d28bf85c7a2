/// Gathers what is typed into whole inputs and has them run: a shell's ends with the first line feed outside quotes.
struct LineReader {
    let isWindows: Bool
    private var shellLine = Memory.shellLine
    private var batchLine = Memory.batchLine
    /// The quote that the shell's input is in; 0 for none.
    private var quote: UInt8 = 0
    private var isEscaped = false
    /// Whether this line is for the plumbing shell, and whether it has begun.
    private var isPlumbed = false
    private var isAtLineStart = true

    init(isWindows: Bool) { self.isWindows = isWindows }

    /// Takes everything that has been typed until now, what came while commands ran first.
    mutating func readAll(_ session: inout Session) {
        while true {
            let typed = session.typed.bytes
            var index = 0
            while index < typed.count {
                take(typed[index], &session)
                index &+= 1
            }
            session.typed.cut(index, at: 0)
            if index > 0 { continue }
            guard let byte = channel.read() else { return }
            // Ctrl-C stops what runs, and here nothing does.
            if byte != 3 { take(byte, &session) }
        }
    }

    private mutating func take(_ byte: UInt8, _ session: inout Session) {
        if isWindows {
            if isAtLineStart {
                isPlumbed = byte == 0x10
                isAtLineStart = false
                if isPlumbed { return }
            }
            isAtLineStart = byte == 0x0a
            guard isPlumbed else { return takeBatchByte(byte, &session) }
        }
        takeShellByte(byte, &session)
    }

    private mutating func takeShellByte(_ byte: UInt8, _ session: inout Session) {
        if byte == 0x0a, quote == 0, !isEscaped {
            session.runShell(shellLine.bytes)
            session.isExiting = false
            shellLine.cut(to: 0)
            return
        }
        shellLine.append(byte)
        if isEscaped {
            isEscaped = false
        } else if byte == 0x5c {
            isEscaped = quote != 0x27
        } else if quote == 0, byte == 0x27 || byte == 0x22 {
            quote = byte
        } else if byte == quote {
            quote = 0
        }
    }

    private mutating func takeBatchByte(_ byte: UInt8, _ session: inout Session) {
        guard byte == 0x0a else { return batchLine.append(byte) }
        session.runBatchLine(batchLine.bytes)
        session.isExiting = false
        batchLine.cut(to: 0)
    }
}
