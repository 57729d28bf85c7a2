import Dispatch
import Glibc
import Synchronization

/// Shows a run at a terminal: ended things scroll by, and below them a few lines are redrawn with each guest's activity and the
/// progress. The cursor is hidden only within a frame, so a killed run leaves a sane terminal.
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
    /// Held while a frame is built and written, to keep their order. Events do not take it: Ctrl-S must not stop the run.
    private let drawing = Mutex(())
    /// Draws on a thread of its own, for the same reason.
    private let timer = Mutex<(any DispatchSourceTimer)?>(nil)

    private struct State {
        var formatter: EventFormatter
        var live = LiveView()
        /// Lines that wait for the next frame.
        var scroll: [String] = []
        /// The widths of the lines of the last frame, to find its top again.
        var shown: [Int] = []
        /// The run's time when the last event came, and this sink's.
        var eventTime = 0.0
        var receivedTime = 0.0
        var isFinished = false
    }

    /// A sink for the stream's terminal. The size is read before each frame, so that a resized window needs no signal. With
    /// `ticks`, frames are also drawn between events, until `finish`.
    public init(
        _ stream: TextStream, style: TextStyle, directory: String? = nil,
        size: @escaping @Sendable () -> Size = { Size.of(1) }, clock: RunClock = RunClock(), ticks: Bool = true
    ) {
        self.stream = stream
        self.size = size
        self.clock = clock
        self.style = style
        state = Mutex(State(formatter: EventFormatter(.results, style: style, directory: directory)))
        guard ticks else { return }
        timer.withLock { timer in
            let source = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "vmlab.terminal"))
            source.schedule(deadline: .now() + Self.frameInterval, repeating: Self.frameInterval)
            source.setEventHandler { [weak self] in self?.tick() }
            source.activate()
            timer = source
        }
    }

    deinit {
        timer.withLock { $0?.cancel() }
    }

    /// Takes in the event; the next frame shows it. The last event is shown at once.
    public func receive(_ recorded: RecordedEvent) {
        let columns = size().columns
        state.withLock { state in
            state.live.receive(recorded)
            state.eventTime = recorded.elapsed
            state.receivedTime = clock.elapsed
            state.scroll += state.formatter.tell(recorded, columns: columns)
        }
        if case .runFinished = recorded.event { finish() }
    }

    /// The next frame shows the line beside its guest's activity.
    public func show(_ line: String, of guest: String) {
        state.withLock { $0.live.show(line, of: guest) }
    }

    /// Shows what is left, clears the live lines and stops redrawing.
    public func finish() {
        timer.withLock { $0?.cancel() }
        draw(isLast: true)
    }

    /// Frames that could not be written.
    public var problems: [String] { stream.problems }

    /// Draws a frame now; what the timer does ten times a second.
    func tick() {
        draw(isLast: false)
    }

    private func draw(isLast: Bool) {
        drawing.withLock { _ in
            let size = size()
            if let frame = state.withLock({ frame(&$0, size, isLast: isLast) }) { stream.write(frame) }
        }
    }

    private func frame(_ state: inout State, _ size: Size, isLast: Bool) -> String? {
        guard !state.isFinished else { return nil }
        state.isFinished = isLast
        let now = state.eventTime + (clock.elapsed - state.receivedTime)
        let live =
            isLast
            ? [] : state.live.lines(tally: state.formatter.tally, now: now, style: style, size: size)
        var frame = ""
        // A terminal that became narrower has wrapped the old lines.
        let rows = state.shown.reduce(0) { $0 + max(1, ($1 + size.columns - 1) / size.columns) }
        if rows > 0 { frame += "\r\u{1B}[\(rows)A" }
        // The rest of a line is cleared before its text: after a full line it would take the last character with it.
        for line in state.scroll + live.map({ $0.rendered(style, columns: size.columns) }) {
            frame += "\u{1B}[K\(line)\r\n"
        }
        frame += "\u{1B}[J"
        if state.scroll.isEmpty, state.shown.isEmpty, live.isEmpty { return nil }
        state.shown = live.map { min($0.width, size.columns) }
        state.scroll = []
        return "\u{1B}[?25l\(frame)\u{1B}[?25h"
    }
}
