import Diagnostics
import Glibc

/// User-mode networking for one network card: passt, as a child process, turns its frames into host sockets. The host's 127.0.0.1
/// is reachable only through explicitly opened ports.
///
/// The card uses datagrams between Unix sockets, as with a switch. Its network is 10.0.2.0/24: the card is 10.0.2.15 (also by
/// DHCP), the router 10.0.2.2.
public final class OutsideLink: Sendable {
    /// The card's address and prefix length.
    public static let address = "10.0.2.15/24"
    /// The router's address. Open ports of the host's 127.0.0.1 are reached there.
    public static let router = "10.0.2.2"
    /// The guests' DNS server: the host's, or the router where the host is its own.
    public static var nameServer: String { HostResolver.address() ?? router }
    /// The program, and the Debian package that has it.
    public static let programs = ["passt": "passt"]

    /// Deadline for passt's first answer, on a busy host.
    private static let patience = Duration.seconds(60)

    /// The process of passt.
    public let child: ChildProcess
    private let stream: StreamSocket
    private let socket: DatagramSocket
    private let readiness: Readiness
    private let filter: OutsideFilter
    private let relay = Completion<Task<Void, Never>>()

    /// Connects the card `mac`, whose process receives at `card` and sends to `path`, which must not exist, and runs `body`.
    /// `started` gets passt's process; `ended` gets its last error output if it ends while still needed.
    ///
    /// Throws a `Diagnostic` when passt is missing or cannot run, and what `body` throws. Cleans up in every case.
    public static func with<Result: Sendable>(
        card: String, mac: String, at path: String, hostPorts: Set<UInt16>,
        started: @Sendable (ChildProcess) -> Void, ended: @escaping @Sendable (String) -> Void,
        _ body: () async throws -> Result
    ) async throws -> Result {
        try Tool.require(programs)
        let link: OutsideLink
        do throws(SystemCallError) {
            link = try await OutsideLink(card: card, at: path, hostPorts: hostPorts)
        } catch {
            throw error.diagnostic("cannot connect a network to the outside")
        }
        started(link.child)
        do {
            try await link.begin(mac, ended)
            let result = try await body()
            await link.close()
            return result
        } catch {
            await link.close()
            throw error
        }
    }

    private init(card: String, at path: String, hostPorts: Set<UInt16>) async throws(SystemCallError) {
        let asksHost = HostResolver.address() == nil
        filter = OutsideFilter(hostPorts: hostPorts, routerKnowsNames: asksHost)
        socket = try DatagramSocket(path: path, peer: card)
        readiness = try Readiness(of: socket.number)
        let pair = try DescriptorPair.socketPair()
        stream = try StreamSocket(owning: pair.first)
        let number: Int32 = 3
        var words = [
            "--foreground", "--quiet", "--stderr", "--fd", "\(number)", "--ipv4-only",
            "--address", "10.0.2.15", "--netmask", "255.255.255.0", "--gateway", Self.router, "--mtu", "1500",
            "--search", "none",
        ]
        // A DNS server on the host itself is offered at the router's address and reached there.
        if asksHost {
            words += ["--dns-forward", Self.router]
        } else if hostPorts.isEmpty {
            words.append("--no-map-gw")
        }
        child = try await ChildProcess.spawn(
            ChildConfiguration(
                executable: Tool.find("passt") ?? "/usr/bin/passt", arguments: words, environment: [:],
                workingDirectory: "/", inherited: [number: pair.second.number]))
    }

    /// Waits until passt answers, then forwards frames in both directions.
    private func begin(_ mac: String, _ ended: @escaping @Sendable (String) -> Void) async throws {
        do {
            try await withDeadline(.now + Self.patience) { try await self.handshake(mac) }
        } catch let error where !(error is CancellationError) {
            throw Diagnostic(
                .host, "cannot connect a network to the outside",
                remedy:
                    "allow this user to create user namespaces, and check that the host has an IPv4 route to the outside; "
                    + "or leave out `nat: true`",
                cause: "passt: \(lastWords)")
        }
        relay.fulfil(
            Task.detached { [self] in
                await withTaskGroup(of: Void.self) { group in
                    group.addTask { try? await self.sendOut() }
                    group.addTask {
                        try? await self.takeIn()
                        guard !Task.isCancelled else { return }
                        self.child.kill()
                        _ = await self.child.ended()
                        ended(self.lastWords)
                    }
                    await group.waitForAll()
                }
            })
    }

    private var lastWords: String {
        let lines = child.standardError.filter { !$0.contains("syslog") }
        return lines.last ?? child.exitStatus?.description ?? "it does not answer"
    }

    /// Sends an ARP request for the router, as every guest does first.
    private func handshake(_ mac: String) async throws {
        let own = mac.split(separator: ":").compactMap { UInt8($0, radix: 16) }
        let question: [UInt8] =
            [UInt8](repeating: 0xff, count: 6) + own + [8, 6, 0, 1, 8, 0, 6, 4, 0, 1] + own + OutsideFilter.card
            + [UInt8](repeating: 0, count: 6) + OutsideFilter.router
        try await stream.write(FrameStream.encoded(question))
        var frames = FrameStream()
        repeat {
            let bytes = try await stream.read()
            if bytes.isEmpty {
                _ = await child.ended()
                throw SystemCallError("read", errno: EPIPE)
            }
            frames.append(bytes)
        } while try frames.next() == nil
    }

    private func sendOut() async throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: FrameStream.longest, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            try await readiness.readable()
            var batch: [UInt8] = []
            while batch.count < StreamSocket.readLimit, let count = socket.receive(into: buffer) {
                let frame = UnsafeRawBufferPointer(rebasing: buffer[..<count])
                if filter.passes(frame) { batch += FrameStream.encoded(frame) }
            }
            try Task.checkCancellation()
            if !batch.isEmpty { try await stream.write(batch) }
        }
    }

    /// Forwards passt's frames to the card, and waits while the card is slow.
    private func takeIn() async throws {
        var frames = FrameStream()
        while true {
            let bytes = try await stream.read()
            guard !bytes.isEmpty else { return }
            frames.append(bytes)
            while let frame = try frames.next() { try await deliver(frame) }
        }
    }

    private func deliver(_ frame: [UInt8]) async throws {
        while frame.withUnsafeBytes({ socket.send($0) }) == .full {
            let room = try Readiness(of: socket.sendable())
            defer { room.end() }
            try await room.writable()
        }
    }

    private func close() async {
        relay.current?.cancel()
        child.kill()
        await relay.current?.value
        _ = await child.ended()
        readiness.end()
        stream.close()
        socket.close()
    }
}

enum HostResolver {
    /// The address of the first IPv4 DNS server that other machines can reach; nil when it is the host itself.
    static func address(in text: String? = SmallFile.text("/etc/resolv.conf")) -> String? {
        for line in (text ?? "").split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count >= 2, words[0] == "nameserver" else { continue }
            let address = String(words[1])
            var parsed = in_addr()
            guard inet_pton(AF_INET, address, &parsed) == 1 else { continue }
            // The first is the one that counts; in network order, so that 127.0.0.0/8 shows in the lowest byte.
            return parsed.s_addr & 0xff == 127 || parsed.s_addr == 0 ? nil : address
        }
        return nil
    }
}
