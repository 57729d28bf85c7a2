import GuestConsole
import HostSystem

// HostSystem has no consoles and GuestConsole no sockets, so the conformance is here.
extension StreamSocket: ByteChannel {}

/// A command channel with a separate connection for each direction.
struct TerminalChannel: ByteChannel {
    let screen: StreamSocket
    let keys: StreamSocket

    func read() async throws -> [UInt8] { try await screen.read() }
    var isDrained: Bool { screen.isDrained }
    func write(_ bytes: [UInt8]) async throws { try await keys.write(bytes) }

    func close() {
        screen.close()
        keys.close()
    }
}
