import GuestConsole
import HostSystem

// HostSystem knows no consoles and GuestConsole no sockets; they meet here.
extension StreamSocket: ByteChannel {}
