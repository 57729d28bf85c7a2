// The probe: a kernel of a few pages that boots at once and speaks vmlab's dialects on COM2.

/// What the kernel's command line says.
struct Settings {
    var hostname = Bytes("probe")
    var isWindows = false

    init(_ line: Bytes) {
        var rest = line
        while !rest.isEmpty {
            let word = rest.prefix(rest.index(of: 0x20))
            if word.hasPrefix("vmlab.guest=") { hostname = word.dropping(12) }
            if word == "vmlab.os=windows" { isWindows = true }
            rest = rest.dropping(word.count &+ 1)
        }
    }
}

@c public func probe_main(_ zeroPage: UInt) {
    let pointer = UInt(readRegister(zeroPage &+ 0x228))
    let start = UnsafeMutablePointer<UInt8>(bitPattern: pointer == 0 ? zeroPage : pointer).unsafelyUnwrapped
    var length = 0
    while pointer != 0, length < 2048, start[length] != 0 { length &+= 1 }
    let settings = Settings(Bytes(start: start, count: length))

    console.start(interrupts: false)
    Interrupts.start()
    console.write("vmlab probe: guest ")
    console.write(settings.hostname)
    console.write(settings.isWindows ? ", cmd on COM2\n" : ", sh on COM2\n")
    var session = Session(settings)
    channel.start(interrupts: true)
    channel.write(settings.isWindows ? "\nVMLAB READY cmd\n" : "\nVMLAB READY sh\n")
    var lines = LineReader(isWindows: settings.isWindows)
    while true {
        lines.readAll(&session)
        probe_wait()
    }
}

/// `top` is the word on top of the exception's frame: the address, or the error code of exceptions that have one.
@c public func probe_exception(_ vector: UInt, _ top: UInt) {
    console.write("exception ")
    console.write(Bytes(decimal: Int(vector)))
    console.write(", top of its frame: ")
    console.write(Bytes(decimal: Int(bitPattern: top)))
    console.write("\n")
    Power.panic("the probe took an exception")
}
