import CLinux
import Glibc
import LabTestSupport
import Testing

@testable import HostSystem

/// Ends this process at once when something is not as it should be; the exit status is the line of the test (modulo 100).
/// In a sandbox nothing else may be counted on, the testing library's way of telling failures least of all.
private func check(_ holds: Bool, line: Int32 = #line) {
    if !holds { _exit(line % 100 + 1) }
}

/// Runs `body` in a child with one thread and ends this process as the child ended. A test process has libdispatch, whose
/// threads make all kinds of calls at any time; `vmlab-vmm` has none.
private func withOneThread(_ body: () throws -> Void) -> Never {
    let child = fork()
    if child == 0 {
        alarm(30)
        do { try body() } catch { _exit(99) }
        _exit(0)
    }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    let signal = status & 0x7f
    _exit(signal == 0 ? status >> 8 & 0xff : 128 + signal)
}

/// Each test runs in a process of its own: a sandbox is for ever.
@Suite("Sandbox", .timeLimit(.minutes(1)))
struct SandboxTests {
    /// Text that goes through a pipe.
    private static func isPipeWorking(_ pipe: borrowing DescriptorPair) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 3)
        return write(pipe.second.number, "abc", 3) == 3 && read(pipe.first.number, &bytes, 3) == 3
            && bytes == Array("abc".utf8)
    }

    @Test("Open descriptors, memory, waiting and time go on; opening a file fails as forbidden")
    func running() async {
        await #expect(processExitsWith: .success) {
            withOneThread {
                let pipe = try DescriptorPair.pipe()
                let epoll = OwnedDescriptor(owning: epoll_create1(0))
                let event = try EventDescriptor()
                try Sandbox.confineCalls(.running(ioctls: [], opensFiles: false))
                check(SandboxTests.isPipeWorking(pipe))
                var interest = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: 7))
                check(epoll_ctl(epoll.number, EPOLL_CTL_ADD, event.number, &interest) == 0)
                event.signal()
                var ready = epoll_event()
                check(epoll_wait(epoll.number, &ready, 1, 1000) == 1)
                check(ready.data.u64 == 7)
                check(event.drain() == 1)
                let memory = [UInt8](repeating: 1, count: 64 << 20)
                check(memory.last == 1)
                var random = SystemRandomNumberGenerator()
                check(random.next() as UInt64 != random.next() as UInt64)
                var status = stat()
                check(fstat(pipe.first.number, &status) == 0)
                var waiting: Int32 = 0
                check(ioctl(pipe.first.number, UInt(FIONREAD), &waiting) == 0)
                check(open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES)
                check(open("/dev/null", O_RDONLY) == -1 && errno == EACCES)
            }
        }
    }

    @Test("A call that is not allowed is told by its number, and the process ends")
    func socketIsRefused() async throws {
        let result = await #expect(processExitsWith: .exitCode(159), observing: [\.standardErrorContent]) {
            withOneThread {
                try Sandbox.confineCalls(.running(ioctls: [], opensFiles: false))
                _ = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            }
        }
        let said = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        #expect(said.contains("sandbox: system call 41 (arguments 0x1, 0x1, 0x0) is not allowed here"), "\(said)")
    }

    @Test("So does a thread that ran before")
    func elderThread() async {
        await #expect(processExitsWith: .exitCode(159)) {
            withOneThread {
                let pipe = try DescriptorPair.pipe()
                let numbers = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
                numbers.pointee = pipe.first.number
                var thread = pthread_t()
                pthread_create(
                    &thread, nil,
                    { argument in
                        var byte: UInt8 = 0
                        guard let argument else { return nil }
                        _ = read(argument.assumingMemoryBound(to: Int32.self).pointee, &byte, 1)
                        _ = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
                        return nil
                    }, numbers)
                try Sandbox.confineCalls(.running(ioctls: [], opensFiles: false))
                _ = write(pipe.second.number, "x", 1)
                pthread_join(thread, nil)
            }
        }
    }

    @Test("Requests of devices are limited by their number")
    func ioctls() async {
        await #expect(processExitsWith: .exitCode(159)) {
            withOneThread {
                let pipe = try DescriptorPair.pipe()
                try Sandbox.confineCalls(.running(ioctls: [UInt32(TCSBRK)], opensFiles: false))
                // Allowed, though a pipe does not know it.
                check(ioctl(pipe.first.number, UInt(TCSBRK), 1) == -1 && errno == ENOTTY)
                _ = ioctl(pipe.first.number, UInt(TIOCSTI), 1)
            }
        }
    }

    @Test("Memory cannot be made to run as code")
    func codeIsRefused() async {
        await #expect(processExitsWith: .exitCode(159)) {
            withOneThread {
                try Sandbox.confineCalls(.running(ioctls: [], opensFiles: false))
                _ = mmap(nil, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            }
        }
    }

    @Test("Nobody else can be signalled")
    func signalsAreRefused() async {
        await #expect(processExitsWith: .exitCode(159)) {
            withOneThread {
                try Sandbox.confineCalls(.running(ioctls: [], opensFiles: false))
                _ = kill(getppid(), 0)
            }
        }
    }

    @Test("S11: a process reads its own limits and sends where its sockets are connected to")
    func ownLimits() async {
        await #expect(processExitsWith: .success) {
            withOneThread {
                let pair = try DescriptorPair.socketPair()
                try Sandbox.confineCalls(.running(ioctls: [], opensFiles: false))
                var limits = rlimit()
                check(getrlimit(Int32(RLIMIT_NOFILE.rawValue), &limits) == 0 && limits.rlim_cur <= 256)
                check(send(pair.first.number, "abc", 3, 0) == 3)
                var bytes = [UInt8](repeating: 0, count: 3)
                check(recv(pair.second.number, &bytes, 3, 0) == 3)
                var address = sockaddr()
                check(connect(pair.first.number, &address, 2) == -1 && errno == EACCES)
            }
        }
    }

    /// What the kernel does with a call, as its filter says: the program is run here.
    private func verdict(_ filter: SystemCallFilter, _ call: Int32, _ arguments: [UInt64] = []) -> UInt32 {
        var data = [UInt8]()
        func add<Number: FixedWidthInteger>(_ number: Number) {
            withUnsafeBytes(of: number.littleEndian) { data += $0 }
        }
        add(UInt32(bitPattern: call))
        add(UInt32(0xc000_003e))
        add(UInt64(0))
        for index in 0..<6 { add(index < arguments.count ? arguments[index] : 0) }
        var (accumulator, place) = (UInt32(0), 0)
        let program = filter.program
        while place < program.count {
            let step = program[place]
            place += 1
            switch Int32(step.code) {
            case BPF_LD | BPF_W | BPF_ABS:
                accumulator = data[Int(step.k)..<Int(step.k) + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
            case BPF_JMP | BPF_JEQ | BPF_K: place += Int(accumulator == step.k ? step.jt : step.jf)
            case BPF_JMP | BPF_JSET | BPF_K: place += Int(accumulator & step.k != 0 ? step.jt : step.jf)
            default: return step.k
            }
        }
        return SECCOMP_RET_KILL_PROCESS
    }

    @Test("S11: each argument that could reach further is looked at, with all its bits")
    func arguments() {
        let filter = SystemCallFilter.running(ioctls: [7, 9], opensFiles: true)
        let (own, other) = (UInt64(getpid()), UInt64(getppid()))
        let pointer: UInt64 = 0x7fff_0000_0000  // Its low half is zero.
        func isAllowed(_ call: Int32, _ arguments: UInt64..., in filter: SystemCallFilter = filter) -> Bool {
            verdict(filter, call, arguments) == SECCOMP_RET_ALLOW
        }
        #expect(isAllowed(SYS_prlimit64, 0, 7, 0, pointer) && isAllowed(SYS_prlimit64, own, 7, 0, pointer))
        #expect(!isAllowed(SYS_prlimit64, other, 7, 0, pointer))
        #expect(!isAllowed(SYS_prlimit64, 0, 7, pointer, 0) && !isAllowed(SYS_prlimit64, 0, 7, 8, 0))
        #expect(isAllowed(SYS_sendto, 3, pointer, 9, 0, 0) && !isAllowed(SYS_sendto, 3, pointer, 9, 0, pointer, 16))
        #expect(isAllowed(SYS_ioctl, 3, 9) && isAllowed(SYS_ioctl, 3, 7) && !isAllowed(SYS_ioctl, 3, 8))
        #expect(isAllowed(SYS_tgkill, own) && !isAllowed(SYS_tgkill, other))
        #expect(isAllowed(SYS_sched_getaffinity, 0) && !isAllowed(SYS_sched_getaffinity, other))
        #expect(isAllowed(SYS_mmap, 0, 4096, 3) && !isAllowed(SYS_mmap, 0, 4096, 5))
        for call in [SYS_sendmsg, SYS_recvmsg, SYS_accept4, SYS_socket, SYS_bind, SYS_kill, SYS_setrlimit, SYS_clone3] {
            #expect(verdict(filter, call) == SECCOMP_RET_TRAP)
        }
        #expect(verdict(filter, SYS_connect) == SECCOMP_RET_ERRNO | UInt32(EACCES))
        let wider = SystemCallFilter.running(ioctls: [], opensFiles: false, accepts: true, connects: true)
        #expect(isAllowed(SYS_connect, in: wider) && isAllowed(SYS_accept4, in: wider))
        #expect(verdict(wider, SYS_openat) == SECCOMP_RET_ERRNO | UInt32(EACCES))
    }

    @Test("S11: a limit that is to be set ends the process")
    func ownLimit() async {
        await #expect(processExitsWith: .exitCode(159)) {
            withOneThread {
                try Sandbox.confineCalls(.running(ioctls: [], opensFiles: false))
                var limits = rlimit(rlim_cur: 100, rlim_max: 100)
                _ = setrlimit(Int32(RLIMIT_NOFILE.rawValue), &limits)
            }
        }
    }

    @Test(
        "Files are out of reach but for the places named, and open descriptors stay",
        .enabled("this kernel has no landlock") { vmlab_landlock_version() > 0 })
    func files() async throws {
        try await withTemporaryFolder { folder in
            _ = await #expect(processExitsWith: .success) { [folder = folder as String] in
                withOneThread {
                    let pipe = try DescriptorPair.pipe()
                    let version = try Sandbox.confineFiles(to: [
                        Sandbox.Place("/etc/passwd"), Sandbox.Place(folder, isWritable: true),
                    ])
                    check(version > 0)
                    try Sandbox.confineCalls(.running(ioctls: [], opensFiles: true))
                    check(SandboxTests.isPipeWorking(pipe))
                    check(open("/etc/group", O_RDONLY) == -1 && errno == EACCES)
                    check(open("/tmp/vmlab-escaped", O_WRONLY | O_CREAT, 0o600) == -1 && errno == EACCES)
                    check(open("/etc/passwd", O_RDONLY) >= 0)
                    check(open("/etc/passwd", O_WRONLY) == -1 && errno == EACCES)
                    let file = open(folder + "/state", O_RDWR | O_CREAT, 0o600)
                    check(write(file, "abc", 3) == 3)
                    check(unlink(folder + "/state") == 0)
                    // The folder itself lies in one that is out of reach.
                    check(rmdir(folder) == -1 && errno == EACCES)
                }
            }
        }
    }

    @Test("Files are not confined for one thread of several")
    func filesWithThreads() async {
        await #expect(processExitsWith: .success) {
            withOneThread {
                let pipe = try DescriptorPair.pipe()
                let number = pipe.first.number
                let elder = try HostThread("elder") {
                    var byte: UInt8 = 0
                    _ = read(number, &byte, 1)
                }
                do throws(SystemCallError) {
                    _ = try Sandbox.confineFiles(to: [])
                    check(false)
                } catch {
                    check(error.errno == EBUSY)
                }
                check(open("/etc/passwd", O_RDONLY) >= 0)
                _ = write(pipe.second.number, "x", 1)
                elder.join()
                _ = try Sandbox.confineFiles(to: [])
            }
        }
    }

    @Test("Threads that run the kernel's own work are told from ours, whatever their names")
    func kernelWorkers() {
        // As Linux 6.18 shows them.
        let worker = "15202 (kvm-nx-lpage-re) S 14900 15186 14891 0 -1 4210752 0 0 0 0 0 0 0 0 20 0 3 0 100 0 0"
        let ours = "15201 (vcpu0) R 14900 15186 14891 0 -1 4194368 12 0 0 0 4 2 0 0 20 0 4 0 100 0 0"
        #expect(Sandbox.isKernelWorker(worker))
        #expect(!Sandbox.isKernelWorker(ours))
        #expect(!Sandbox.isKernelWorker(ours.replacing("(vcpu0)", with: "(a) 1 2 3 4 5 4210752 7)")))
        #expect(!Sandbox.isKernelWorker(""))
    }

    @Test("The program is one that the kernel takes: jumps stay within it, and every way ends")
    func program() {
        let program = SystemCallFilter.running(ioctls: (0..<200).map { UInt32($0) }, opensFiles: true).program
        #expect(program.count < 4096)
        for (index, instruction) in program.enumerated() where instruction.code & 0x07 == UInt16(BPF_JMP) {
            #expect(index + 1 + Int(max(instruction.jt, instruction.jf)) < program.count)
        }
        #expect(program.last?.k == SECCOMP_RET_TRAP)
    }
}
