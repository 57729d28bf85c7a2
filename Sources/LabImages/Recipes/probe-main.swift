// The probe's beginning and its bad ends.

// Unsafe is enough for variables here: one processor runs this, and nothing ever interrupts Swift code (probe-start.S).
private nonisolated(unsafe) var isWindows = false

/// Where Swift begins: what the boot loader told, and whether it spoke the Linux boot protocol or PVH.
@c(probe_main)
func main(_ info: UInt, _ isLinux: UInt32) {
    startHeap()
    // cmd_line_ptr of `boot_params`, cmdline_paddr of `hvm_start_info`.
    let address = UInt(probe_load(info + (isLinux != 0 ? 0x228 : 0x18)))
    var words: [Text] = []
    if address != 0, let line = UnsafePointer<UInt8>(bitPattern: address) {
        let length = (0..<2048).first { line[$0] == 0 } ?? 2048
        words = Text(UnsafeBufferPointer(start: line, count: length)).words
    }
    Interrupts.start()
    Interrupts.enable(3)
    let machine = Machine(words: words)
    isWindows = machine.isWindows
    var banner = Text("vmlab probe: ") + machine.name + Text(", ")
    banner.append(decimal: machine.disks.count)
    banner += " disks, "
    banner.append(decimal: machine.cards.count)
    banner += " cards\n"
    SerialPort.console.write(banner)
    SerialPort.commands.start()
    let session = Session(machine, isWindows ? .cmd : .sh)
    session.greet()
    machine.serve { session.take($0) }
}

/// Where a fault ends: says it as Linux does, and stops.
@c(probe_fault)
func faulted(_ vector: UInt64, _ code: UInt64, _ place: UInt64, _ address: UInt64) {
    var text = Text("")
    switch vector {
    case 0: text += "divide error: "
    case 6: text += "invalid opcode: "
    case 8: text += "double fault: "
    case 13: text += "general protection fault: "
    case 14:
        text += "BUG: unable to handle page fault for address: "
        text.append(hexadecimal: address, digits: 16)
        text += "\nOops: "
    default:
        text += "Oops: trap "
        text.append(decimal: Int(vector))
        text += ": "
    }
    text.append(hexadecimal: code, digits: 4)
    text += " [#1]\nRIP: "
    text.append(hexadecimal: place, digits: 16)
    text.append(10)
    SerialPort.console.write(text)
    die(Text("Fatal exception"), isWindows: isWindows)
}

/// Ends the guest as its kind of kernel does, with the reason on the console.
func die(_ reason: Text, isWindows: Bool = false) -> Never {
    var text: Text
    if isWindows {
        // One line, so that who looks for the class finds the reason with it.
        text = Text("<INSTANCE CLASSNAME=\"BLUESCREEN\"><PROPERTY NAME=\"STOPCODE\"><VALUE>") + reason
        text += "</VALUE></PROPERTY></INSTANCE>\n!SAC>\n"
    } else {
        text = Text("Kernel panic - not syncing: ") + reason
        text += "\n---[ end Kernel panic - not syncing: "
        text += reason
        text += " ]---\n"
    }
    SerialPort.console.write(text)
    // pvpanic: PVPANIC_PANICKED.
    probe_port_write(0x505, 1)
    while true { probe_wait() }
}
