import Synchronization

/// Input of a command: kept until the command runs, so that no shell reads it, and dropped when it has ended.
public final class CommandInput: Sendable {
    enum Piece: Sendable, Hashable {
        case bytes([UInt8])
        /// The end of the input, as typed at the guest's terminal.
        case end
    }

    private struct State {
        var pieces: [Piece] = []
        var onPiece: (@Sendable () -> Void)?
        var isClosed = false
    }

    private let state = Mutex(State())

    /// An empty input for one command.
    public init() {}

    /// Types bytes.
    public func send(_ bytes: [UInt8]) { put(.bytes(bytes)) }

    /// Ends the input, as Ctrl-D at a terminal: its reader gets an end of file. Later input is for a program that reads on.
    public func end() { put(.end) }

    /// Drops unread input and all later input.
    public func close() {
        state.withLock { $0 = State(isClosed: true) }
    }

    func attach(_ onPiece: @escaping @Sendable () -> Void) {
        state.withLock { if !$0.isClosed { $0.onPiece = onPiece } }
    }

    /// The input since the last call.
    func take() -> [Piece] {
        state.withLock { state in
            defer { state.pieces = [] }
            return state.pieces
        }
    }

    private func put(_ piece: Piece) {
        let notify = state.withLock { state in
            if !state.isClosed { state.pieces.append(piece) }
            return state.onPiece
        }
        notify?()
    }
}
