import Synchronization

/// What is typed to a command: kept until the command runs, so that no shell reads it, and dropped once that has ended.
public final class CommandInput: Sendable {
    /// What can be typed.
    enum Piece: Sendable, Hashable {
        case bytes([UInt8])
        /// The end of the input, as the guest's terminal has it typed.
        case end
    }

    private struct State {
        var pieces: [Piece] = []
        var onPiece: (@Sendable () -> Void)?
        var isClosed = false
    }

    private let state = Mutex(State())

    /// An input into which nothing was typed yet, for one command.
    public init() {}

    /// Types bytes.
    public func send(_ bytes: [UInt8]) { put(.bytes(bytes)) }

    /// Ends the input, as a person at a terminal does: a program that reads it to its end comes to it. What is typed after
    /// that is for a program that reads on all the same.
    public func end() { put(.end) }

    /// Drops what was typed and not read, and all that will be.
    public func close() {
        state.withLock { $0 = State(isClosed: true) }
    }

    /// Registers what is called for each new piece.
    func attach(_ onPiece: @escaping @Sendable () -> Void) {
        state.withLock { if !$0.isClosed { $0.onPiece = onPiece } }
    }

    /// What was typed since this was last asked.
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
