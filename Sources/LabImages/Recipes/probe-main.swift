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

/// `place` is where the address of the kernel's command line is kept.
@c public func probe_main(_ place: UInt) {
    var line = Bytes("")
    if let start = UnsafeMutablePointer<UInt8>(bitPattern: UInt(readRegister(place))) {
        line = Bytes(start: start, count: 2048)
        line.count = line.index(of: 0)
    }
    let settings = Settings(line)

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
