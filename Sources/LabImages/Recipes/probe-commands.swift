// The commands that both shells know; `help` lists them.

extension Shell {
    /// Runs a program: its name and its arguments. Returns its exit status.
    func perform(_ words: [Text]) -> Int32 {
        let arguments = Array(words.dropFirst())
        let name = words.first ?? []
        switch language == .cmd ? name.lowercased : name {
        case ":", "true", "cd", "mkdir", "trap", "exec", "sync", "vmlab-kill", "k", "r": return 0
        case "false": return 1
        case "echo": return said(Text(arguments.joined(separator: [32])) + newline)
        case "printf": return printf(arguments)
        case "test", "[": return test(arguments)
        case "env", "set":
            for variable in variables { sayLine(variable.name + [61] + variable.value) }
            return 0
        case "hostname": return said(machine.name + newline)
        case "uname": return said(Text("probe") + newline)
        case "ver": return said(newline + Text("vmlab probe [Version 1.0]") + newline)
        case "cat", "type", "head": return cat(arguments)
        case "cksum": return cksum(arguments)
        case "disks": return disks()
        case "net": return net(arguments)
        case "ping": return net([Text("ping"), arguments.last ?? []])
        case "sleep", "timeout": return pass(arguments, awake: false)
        case "spin": return pass(arguments, awake: true)
        case "poweroff": machine.powerOff()
        case "reboot": machine.reboot()
        case "shutdown": arguments.contains { $0 == "/r" || $0 == "-r" } ? machine.reboot() : machine.powerOff()
        case "panic": machine.panic(arguments.isEmpty ? Text("asked for") : Text(arguments.joined(separator: [32])))
        case "fault": return fault(arguments.first ?? [])
        case "help":
            var text = Text(
                "echo printf test env hostname uname ver cat type head cksum disks net ping sleep timeout spin")
            text += " poweroff reboot shutdown panic fault true false exit"
            return said(text + newline)
        default: return unknown(name)
        }
        // The machine could not do it.
        return 1
    }

    private func said(_ text: Text) -> Int32 {
        say(text)
        return 0
    }

    private func unknown(_ name: Text) -> Int32 {
        switch language {
        case .sh:
            complain(Text("sh: ") + name + Text(": not found"))
            return 127
        case .cmd:
            complain([39] + name + Text("' is not recognized as an internal or external command,"))
            complain(Text("operable program or batch file."))
            return 9009
        }
    }

    /// `%s`, `%d` and `%%`, with the usual escapes; the format is used once.
    private func printf(_ arguments: [Text]) -> Int32 {
        var reader = TextReader(arguments.first ?? [])
        var values = arguments.dropFirst()
        var text: Text = []
        while let byte = reader.take() {
            if byte == 37 {
                if reader.take("%") {
                    text.append(37)
                } else if reader.take("s") {
                    text += values.popFirst() ?? []
                } else if reader.take("d") {
                    text.append(decimal: values.popFirst()?.number ?? 0)
                }
            } else if byte == 92, let escaped = reader.take() {
                switch escaped {
                case 110: text.append(10)
                case 114: text.append(13)
                case 116: text.append(9)
                case 48...55:
                    let digits = [escaped] + reader.take { $0 >= 48 && $0 <= 55 }
                    text.append(UInt8(truncatingIfNeeded: digits.reduce(0) { $0 &* 8 &+ Int($1 - 48) }))
                default: text.append(escaped)
                }
            } else {
                text.append(byte)
            }
        }
        return said(text)
    }

    private func test(_ arguments: [Text]) -> Int32 {
        var words = arguments
        if words.last == Text("]") { words.removeLast() }
        let isNegated = words.first == Text("!")
        if isNegated { words.removeFirst() }
        let isSo: Bool
        switch words.count {
        case 0: isSo = false
        case 1: isSo = !words[0].isEmpty
        case 2:
            isSo = words[0] == "-n" ? !words[1].isEmpty : words[0] == "-z" ? words[1].isEmpty : content(words[1]) != nil
        case 3 where words[1] == "=": isSo = words[0] == words[2]
        case 3 where words[1] == "!=": isSo = words[0] != words[2]
        case 3:
            guard let one = words[0].number, let other = words[2].number else { return 2 }
            switch words[1] {
            case "-eq": isSo = one == other
            case "-ne": isSo = one != other
            case "-lt": isSo = one < other
            case "-gt": isSo = one > other
            default: return 2
            }
        default: return 2
        }
        return isSo != isNegated ? 0 : 1
    }

    /// `fault`: the command's own, which ends it; `fault kernel` and `fault triple` end the guest.
    private func fault(_ kind: Text) -> Int32 {
        switch kind {
        case "":
            machine.crash()
            complain(Text("the program faulted"))
            return crashStatus
        case "kernel": machine.fault(.kernel)
        case "triple": machine.fault(.triple)
        default: complain(Text("fault: kernel, triple or nothing"))
        }
        return 1
    }

    // MARK: Time and network

    private func pass(_ arguments: [Text], awake: Bool) -> Int32 {
        let words = arguments.filter { $0.lowercased != "/t" && $0.lowercased != "/nobreak" }
        // Nothing said is for ever: some 30 years.
        guard let time = words.first.map({ $0.milliseconds }) ?? 1_000_000_000_000 else {
            complain(Text("invalid number '") + (words.first ?? []) + [39])
            return 1
        }
        if !machine.pass(milliseconds: time, awake: awake) { ending = .interrupt }
        return 0
    }

    /// `net send TEXT…`, `net receive [SECONDS]`, `net ping GUEST [SECONDS]`; `net` alone lists the cards.
    private func net(_ arguments: [Text]) -> Int32 {
        let rest = arguments.dropFirst()
        switch arguments.first ?? [] {
        case "":
            for card in machine.cards {
                var line: Text = []
                for byte in card.address {
                    if !line.isEmpty { line.append(58) }
                    line.append(hexadecimal: UInt64(byte), digits: 2)
                }
                line += " sent "
                line.append(decimal: card.sent)
                line += " received "
                line.append(decimal: card.received)
                sayLine(line)
            }
            return 0
        case "send":
            if machine.send(ProbeMessage(.text, from: machine.name, Text(rest.joined(separator: [32])))) { return 0 }
            complain(Text("no network card"))
        case "receive":
            let time = rest.first?.milliseconds ?? 10_000
            if let message = machine.receive(.text, from: nil, milliseconds: time) {
                return said(message.sender + Text(": ") + message.text + newline)
            }
            if goesOn { complain(Text("no message")) }
        case "ping":
            let name = rest.first ?? []
            let time = rest.dropFirst().first?.milliseconds ?? 5_000
            if machine.send(ProbeMessage(.ping, from: machine.name, name)),
                machine.receive(.pong, from: name, milliseconds: time) != nil
            {
                return said(Text("reply from ") + name + newline)
            }
            if goesOn { complain(Text("no reply from ") + name) }
        default: complain(Text("net: send TEXT, receive [SECONDS] or ping GUEST [SECONDS]"))
        }
        return 1
    }
}
