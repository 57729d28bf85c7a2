import Glibc
import Synchronization

/// Shows a run at a terminal: what ended scrolls by, and below it a few lines are redrawn in place with what each guest
/// does now and how far the run is. The cursor is hidden only within a frame, so a killed run leaves a sane terminal.
public final class TerminalSink: RunSink {
    /// A terminal's size in characters.
    public struct Size: Sendable, Hashable {
        /// Columns, at least 1.
        public var columns: Int
        /// Rows, at least 1.
        public var rows: Int

        /// A size as given, at least 1 × 1.
        public init(columns: Int, rows: Int) {
            self.columns = max(1, columns)
            self.rows = max(1, rows)
        }

        /// The size of the terminal behind a descriptor; 80 × 24 if it has none.
        public static func of(_ descriptor: Int32) -> Size {
            var size = winsize()
            guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
                return Size(columns: 80, rows: 24)
            }
            return Size(columns: Int(size.ws_col), rows: Int(size.ws_row))
        }
    }

    /// Seconds between frames: ten in a second are smooth, more are waste.
    static let frameInterval = 0.1

    private let stream: TextStream
    private let size: @Sendable () -> Size
    private let clock: RunClock
    private let style: TextStyle
    private let state: Mutex<State>

    private struct State {
        var narrator: Narrator
        var live = LiveView()
        /// Lines that wait for the next frame.
        var scroll: [String] = []
        /// The widths of the lines of the last frame, to find its top again.
        var shown: [Int] = []
        var lastFrame = -Double.infinity
        /// The run's time when the last event came, and this sink's.
        var eventTime = 0.0
        var receivedTime = 0.0
        var isFinished = false
        var ticker: Task<Void, Never>?
    }

    /// A sink for the terminal that the stream writes to. The size is asked before each frame, so that a resized window
    /// needs no signal. With `ticks`, frames are also drawn between events, until `finish`.
    public init(
        _ stream: TextStream, style: TextStyle, directory: String? = nil,
        size: @escaping @Sendable () -> Size = { Size.of(1) }, clock: RunClock = RunClock(), ticks: Bool = true
    ) {
        self.stream = stream
        self.size = size
        self.clock = clock
        self.style = style
        state = Mutex(State(narrator: Narrator(.results, style: style, directory: directory)))
        guard ticks else { return }
        let ticker = Task.detached { [weak self] in
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(Self.frameInterval))
                guard let self else { return }
                self.tick()
            }
        }
        state.withLock { $0.ticker = ticker }
    }

    deinit {
        state.withLock { $0.ticker?.cancel() }
    }

    /// Takes in the event; draws if the last frame is old enough.
    public func receive(_ recorded: RecordedEvent) {
        state.withLock { state in
            let size = size()
            state.live.receive(recorded)
            state.eventTime = recorded.elapsed
            state.receivedTime = clock.elapsed
            let lines = state.narrator.tell(recorded, columns: size.columns)
            state.scroll += lines
            if case .runFinished = recorded.event {
                draw(&state, size, isLast: true)
            } else if clock.elapsed - state.lastFrame >= Self.frameInterval {
                draw(&state, size)
            }
        }
    }

    /// Clears the live lines and stops redrawing.
    public func finish() {
        state.withLock { state in
            draw(&state, size(), isLast: true)
            state.ticker?.cancel()
            state.ticker = nil
        }
    }

    /// Frames that could not be written.
    public var problems: [String] { stream.problems }

    /// Draws a frame now; what the ticker does ten times a second.
    func tick() {
        state.withLock { draw(&$0, size()) }
    }

    private func draw(_ state: inout State, _ size: Size, isLast: Bool = false) {
        guard !state.isFinished else { return }
        state.isFinished = isLast
        state.lastFrame = clock.elapsed
        let now = state.eventTime + (clock.elapsed - state.receivedTime)
        // The last row stays free for the cursor.
        let live =
            isLast
            ? [] : state.live.lines(tally: state.narrator.tally, now: now, style: style, size: size)
        var frame = ""
        // A terminal that became narrower has broken the old lines into several.
        let rows = state.shown.reduce(0) { $0 + max(1, ($1 + size.columns - 1) / size.columns) }
        if rows > 0 { frame += "\r\u{1B}[\(rows)A" }
        for line in state.scroll { frame += line + "\u{1B}[K\r\n" }
        for line in live { frame += line.rendered(style, columns: size.columns) + "\u{1B}[K\r\n" }
        frame += "\u{1B}[J"
        if state.scroll.isEmpty, state.shown.isEmpty, live.isEmpty { return }
        state.shown = live.map { min($0.width, size.columns) }
        state.scroll = []
        stream.write("\u{1B}[?25l\(frame)\u{1B}[?25h")
    }
}
