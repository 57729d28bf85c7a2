import GuestConsole
import HostSystem

// HostSystem knows no consoles and GuestConsole no sockets; they meet here.
extension StreamSocket: ByteChannel {}

/// A command channel whose two directions are two connections.
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
