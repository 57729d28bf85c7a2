import CLinux
import Glibc
import LabTestSupport
import Testing

@testable import HostSystem

/// Each test runs in a process of its own: a sandbox is for ever.
@Suite("Sandbox", .timeLimit(.minutes(1)))
struct SandboxTests {
    /// Text that goes through a pipe.
    private static func isPipeWorking(_ pipe: borrowing DescriptorPair) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 3)
        return write(pipe.second.number, "abc", 3) == 3 && read(pipe.first.number, &bytes, 3) == 3
            && bytes == Array("abc".utf8)
    }

    /// A test's process has Swift's pool, which may start a thread at any time.
    private static func filter(opensFiles: Bool) -> SystemCallFilter {
        var filter = SystemCallFilter.running(ioctls: [], opensFiles: opensFiles)
        filter.rules += [.allow(SYS_clone), .allow(SYS_clone3)]
        return filter
    }

    @Test(
        "Open descriptors, memory, waiting and time go on; opening a file fails as forbidden",
        .disabled("Swift's pool in a test's process makes calls of its own; Labs/probe-fleet runs in this sandbox"))
    func running() async {
        await #expect(processExitsWith: .success) {
            let pipe = try DescriptorPair.pipe()
            let epoll = OwnedDescriptor(owning: epoll_create1(0))
            let event = try EventDescriptor()
            try Sandbox.confineCalls(SandboxTests.filter(opensFiles: false))
            let works = SandboxTests.isPipeWorking(pipe)
            #expect(works)
            var interest = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: 7))
            #expect(epoll_ctl(epoll.number, EPOLL_CTL_ADD, event.number, &interest) == 0)
            event.signal()
            var ready = epoll_event()
            #expect(epoll_wait(epoll.number, &ready, 1, 1000) == 1)
            #expect(ready.data.u64 == 7)
            #expect(event.drain() == 1)
            let memory = [UInt8](repeating: 1, count: 64 << 20)
            #expect(memory.last == 1)
            var random = SystemRandomNumberGenerator()
            #expect(random.next() as UInt64 != random.next() as UInt64)
            var status = stat()
            #expect(fstat(pipe.first.number, &status) == 0)
            var waiting: Int32 = 0
            #expect(ioctl(pipe.first.number, UInt(FIONREAD), &waiting) == 0)
            #expect(open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES)
            #expect(open("/dev/null", O_RDONLY) == -1 && errno == EACCES)
        }
    }

    @Test("A call that is not allowed is told by its number, and the process ends")
    func socketIsRefused() async throws {
        let result = await #expect(processExitsWith: .exitCode(159), observing: [\.standardErrorContent]) {
            try Sandbox.confineCalls(.running(ioctls: [], opensFiles: false))
            _ = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        }
        let said = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        #expect(said.contains("sandbox: system call 41 (arguments 0x1, 0x1, 0x0) is not allowed here"), "\(said)")
    }

    @Test("So does a thread that ran before")
    func elderThread() async {
        await #expect(processExitsWith: .failure) {
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

    @Test("Requests of devices are limited by their number")
    func ioctls() async {
        await #expect(processExitsWith: .exitCode(159)) {
            let pipe = try DescriptorPair.pipe()
            try Sandbox.confineCalls(.running(ioctls: [UInt32(TCSBRK)], opensFiles: false))
            // Allowed, though a pipe does not know it.
            guard ioctl(pipe.first.number, UInt(TCSBRK), 1) == -1, errno == ENOTTY else { exit(1) }
            _ = ioctl(pipe.first.number, UInt(TIOCSTI), 1)
        }
    }

    @Test("Memory cannot be made to run as code")
    func codeIsRefused() async {
        await #expect(processExitsWith: .exitCode(159)) {
            try Sandbox.confineCalls(.running(ioctls: [], opensFiles: false))
            _ = mmap(nil, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        }
    }

    @Test("Nobody else can be signalled")
    func signalsAreRefused() async {
        await #expect(processExitsWith: .exitCode(159)) {
            try Sandbox.confineCalls(.running(ioctls: [], opensFiles: false))
            _ = kill(getppid(), 0)
        }
    }

    @Test(
        "Files are out of reach but for the places named, and open descriptors stay",
        .disabled("Swift's pool in a test's process makes calls of its own; Labs/probe-fleet runs in this sandbox"))
    func files() async throws {
        try await withTemporaryFolder { folder -> Void in
            _ = await #expect(processExitsWith: .success) { [folder = folder as String] in
                let pipe = try DescriptorPair.pipe()
                let version = try Sandbox.confineFiles(to: [
                    Sandbox.Place("/etc/passwd"), Sandbox.Place(folder, isWritable: true),
                ])
                #expect(version > 0)
                try Sandbox.confineCalls(SandboxTests.filter(opensFiles: true))
                let works = SandboxTests.isPipeWorking(pipe)
                #expect(works)
                #expect(open("/etc/group", O_RDONLY) == -1 && errno == EACCES)
                #expect(open("/tmp/vmlab-escaped", O_WRONLY | O_CREAT, 0o600) == -1 && errno == EACCES)
                let readable = open("/etc/passwd", O_RDONLY)
                #expect(readable >= 0)
                close(readable)
                #expect(open("/etc/passwd", O_WRONLY) == -1 && errno == EACCES)
                let file = open(folder + "/state", O_RDWR | O_CREAT, 0o600)
                #expect(file >= 0)
                #expect(write(file, "abc", 3) == 3)
                close(file)
                #expect(unlink(folder + "/state") == 0)
            }
        }
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
