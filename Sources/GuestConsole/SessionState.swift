/// A session's state as a value: every event is a mutating method that returns the resulting actions.
struct SessionState {
    /// What the session waits for; one at a time.
    enum Wait {
        /// The shell to be ready: its greeting, or the last of its reactions.
        case ready
        /// The answer to a probe.
        case probe(StreamSearch)
        /// The command in flight to start running.
        case begin
        /// The end of the command in flight.
        case end
    }

    /// The current framed answer, whether or not a task still waits for it.
    struct Frame {
        var scanner: FrameScanner
        /// The command's input, typed once it runs: earlier its shell would read it.
        var input: CommandInput?
        /// Whether the command itself runs, and not an exchange that transfers it.
        let isCommand: Bool
        /// Whether the typed input ends within a line.
        var hasOpenLine = false
        var output: (@Sendable (ArraySlice<UInt8>) -> Void)?
        /// The end of the output, long enough for the shell's complaints.
        var tail: [UInt8] = []
        var gate: OutputGate
        /// Tells a greeting of a restarted shell from output that looks like one.
        var probe: StreamSearch?
        /// Limits the probes caused by output with many false greetings.
        var probesLeft = 8

        /// The rest of the output is not wanted.
        mutating func endOutput() {
            let rest = gate.finish()
            if !rest.isEmpty { output?(rest) }
            output = nil
        }
    }

    /// The result of a wait: the status and size of a framed answer, or zeros.
    struct Answer: Sendable, Equatable {
        var status: Int32 = 0
        var bytes = 0
    }

    typealias Ending = Result<Answer, ConsoleError>

    /// What is to be done after an event.
    struct Actions {
        /// Input to send, in order.
        var typing: [[UInt8]] = []
        /// Whether queued input is for a shell that has ended.
        var dropsTyping = false
        /// How the current wait ended, if it did.
        var ending: Ending?
        /// A search to run, and then to finish with.
        var search: LoginSearch?
    }

    /// A search of the guest's output for prompts. It may take milliseconds, so it works on a copy, outside of locks.
    struct LoginSearch: Sendable {
        fileprivate var login: Login
        /// Whether the guest has been silent for a while.
        fileprivate let isStalled: Bool
        /// `loginChanges` when the copy was made.
        fileprivate let changes: Int

        mutating func run() -> Login.Step? { isStalled ? login.stalled() : login.react() }
    }

    private let dialect: Dialect
    private var greeting: StreamSearch?
    private var login: Login { didSet { loginChanges += 1 } }
    private var loginChanges = 0
    private(set) var wait: Wait?
    private(set) var frame: Frame?
    /// The guest has greeted, and the session was not opened since.
    private(set) var hasGreeted = false
    /// The machine was reset, and the session was not opened since.
    private var isRebooting = false
    /// The shell is being replaced for the next command, whether or not a task still waits for that.
    private(set) var isRenewing = false
    /// The guest has greeted since the last exchange began; the report of the reset that caused it may still come.
    private var hasRestarted = false
    /// The shell has run the dialect's setup.
    private(set) var isSetUp = false
    /// A command waits; the session's variables are set after it has run.
    private(set) var prewarmed: [(name: String, value: String)]?
    private(set) var closed: ConsoleError?

    init(dialect: Dialect) {
        self.dialect = dialect
        greeting = dialect.greeting.map { StreamSearch($0) }
        login = Login(dialect)
    }

    /// Why no command can start now; nil when one can.
    var obstacle: ConsoleError? {
        if let closed { return closed }
        if hasGreeted || isRebooting { return .greetedAgain }
        if wait != nil || frame != nil { return .busy }
        return isSetUp ? nil : .protocolViolation("the session was not opened")
    }

    /// Begins to wait for the shell. Earlier output counts: a greeting, or a prompt to react to.
    mutating func awaitReady() -> Actions {
        if let ending = claim() { return Actions(ending: ending) }
        isSetUp = false
        isRebooting = false
        isRenewing = false
        prewarmed = nil
        if hasGreeted { return Actions(ending: becomeReady()) }
        wait = .ready
        login.restart()
        return search()
    }

    mutating func awaitProbe(_ nonce: Nonce) -> Actions {
        if let ending = claim() { return Actions(ending: ending) }
        wait = .probe(StreamSearch(Array(nonce.description.utf8)))
        return Actions()
    }

    mutating func awaitEnd(
        of exchange: Exchange, input: CommandInput?, output: (@Sendable (ArraySlice<UInt8>) -> Void)?
    ) -> Actions {
        if let obstacle { return Actions(ending: .failure(obstacle)) }
        if exchange.usesPrewarmed { prewarmed = nil }
        hasRestarted = false
        frame = Frame(
            scanner: FrameScanner(exchange), input: input, isCommand: exchange.isOutput, output: output,
            gate: OutputGate(dialect.greeting))
        wait = .end
        return Actions()
    }

    mutating func typeInput() -> Actions { Actions(typing: takeInput()) }

    private mutating func takeInput() -> [[UInt8]] {
        guard let input = frame?.input, frame?.scanner.hasBegun == true else { return [] }
        return input.take().map { piece in
            let keys: [UInt8]
            switch piece {
            case .bytes(let bytes): keys = bytes
            case .end: keys = dialect.endOfInput(frame?.hasOpenLine == true)
            }
            if let last = keys.last { frame?.hasOpenLine = piece != .end && last != 10 }
            return keys
        }
    }

    /// Begins to wait for an abandoned command: until it runs, or until its end.
    mutating func awaitAbandoned(begin: Bool) -> Actions {
        if let ending = claim() { return Actions(ending: ending) }
        guard let frame else {
            return Actions(ending: hasGreeted && !isRenewing ? .failure(.greetedAgain) : .success(Answer()))
        }
        if begin, frame.scanner.hasBegun { return Actions(ending: .success(Answer())) }
        wait = begin ? .begin : .end
        return Actions()
    }

    /// Whether a command has begun whose end has not been seen.
    var isBusy: Bool { frame != nil }

    private func claim() -> Ending? {
        if let closed { return .failure(closed) }
        return wait == nil ? nil : .failure(.busy)
    }

    mutating func finishSetup() { isSetUp = true }

    mutating func setPrewarmed(_ variables: [(name: String, value: String)] = []) { prewarmed = variables }

    /// A reboot is expected: earlier greetings do not count for the next `awaitReady`.
    mutating func forgetGreeting() {
        hasGreeted = false
        isSetUp = false
        prewarmed = nil
        frame = nil
        login.discardOutput()
    }

    /// The guest's machine was reset: later output is that of its boot, and of another shell.
    mutating func machineWasReset() -> Actions {
        if hasRestarted { return Actions() }
        frame?.endOutput()
        // A greeting in the command's output that is being probed was caused by this reset: no other follows.
        if frame?.probe != nil { return restarted() }
        forgetGreeting()
        if case .ready = wait { return Actions() }
        isRebooting = true
        var actions = end(with: .failure(.greetedAgain))
        actions.dropsTyping = true
        return actions
    }

    /// Ends the current wait from outside. The command continues; its output is dropped.
    mutating func giveUp() {
        wait = nil
        frame?.endOutput()
    }

    mutating func close(_ error: ConsoleError) -> Actions {
        closed = closed ?? error
        frame?.endOutput()
        frame = nil
        return end(with: .failure(closed ?? error))
    }

    mutating func receive(_ bytes: ArraySlice<UInt8>) -> Actions {
        let greeted = lastGreeting(in: bytes)
        if frame != nil { return receiveAnswer(bytes, greeted: greeted) }
        if greeted != nil { return restarted() }
        if !isSetUp { login.receive(bytes) }
        switch wait {
        case .ready:
            return search()
        case .probe(var search):
            if search.take(bytes) != nil { return end(with: .success(Answer())) }
            wait = .probe(search)
            return Actions()
        case .begin, .end, nil: return Actions()
        }
    }

    /// The guest has been silent for a while, except for kernel messages.
    mutating func stalled() -> Actions {
        guard case .ready = wait else { return Actions() }
        return search(isStalled: true)
    }

    private func search(isStalled: Bool = false) -> Actions {
        Actions(search: LoginSearch(login: login, isStalled: isStalled, changes: loginChanges))
    }

    /// Applies a search's result, unless its wait has ended or the login has changed, which started a new search.
    mutating func finish(_ search: LoginSearch, _ step: Login.Step?) -> Actions {
        guard case .ready = wait, search.changes == loginChanges else { return Actions() }
        login = search.login
        return perform(step)
    }

    var revision: Int { login.revision }

    var progress: String? { login.progress }

    private mutating func perform(_ step: Login.Step?) -> Actions {
        switch step {
        case nil: Actions()
        case .type(let keys): Actions(typing: [keys])
        case .ready: end(with: becomeReady())
        case .fail(let trouble): end(with: .failure(.bootTrouble(trouble)))
        }
    }

    private mutating func receiveAnswer(_ bytes: ArraySlice<UInt8>, greeted: Int?) -> Actions {
        guard var frame else { return Actions() }
        let hadBegun = frame.scanner.hasBegun
        let longest = dialect.complaints.map(\.count).max() ?? 0
        let progress = frame.scanner.take(bytes) { piece in
            frame.tail = Array((frame.tail + piece.suffix(longest)).suffix(longest))
            let passed = frame.gate.take(piece)
            if !passed.isEmpty { frame.output?(passed) }
        }
        switch progress {
        case .ended(let status, let rest):
            self.frame = nil
            let held = frame.gate.open()
            if !held.isEmpty { frame.output?(held) }
            let hasFailed = dialect.complaints.contains { frame.tail.suffix($0.count) == $0[...] }
            let stated = status == 0 && hasFailed ? 1 : status
            var actions = end(with: .success(Answer(status: stated, bytes: frame.scanner.bytes)))
            if !frame.isCommand, status == dialect.renewed { isRenewing = true }
            // Unread input of the command may precede what is typed next.
            if frame.hasOpenLine { actions.typing = [[10]] }
            if let greeted, greeted > rest { actions.dropsTyping = restarted().dropsTyping }
            return actions
        case .garbled(let text):
            self.frame = nil
            isSetUp = false
            return end(with: .failure(.protocolViolation("the guest's end marker has `\(text)` for an exit status")))
        case .more:
            // Nothing of ours runs before the begin marker, so a greeting there is a new shell's. Behind it the
            // command itself may print one: a probe's answer before the end marker shows that the shell is new.
            if frame.probe?.take(bytes) != nil || greeted != nil && !frame.scanner.hasBegun { return restarted() }
            var actions = Actions()
            if greeted != nil, frame.probesLeft > 0 {
                let nonce = Nonce()
                frame.probe = StreamSearch(Array(nonce.description.utf8))
                frame.probesLeft -= 1
                actions.typing = [dialect.probe(nonce)]
            }
            self.frame = frame
            actions.typing += takeInput()
            if case .begin = wait, !hadBegun, frame.scanner.hasBegun {
                actions.ending = end(with: .success(Answer())).ending
            }
            return actions
        }
    }

    /// A new shell reads the channel.
    private mutating func restarted() -> Actions {
        frame = nil
        hasRestarted = true
        hasGreeted = true
        isSetUp = false
        prewarmed = nil
        switch wait {
        case nil: return Actions(dropsTyping: true)
        case .ready: return end(with: becomeReady())
        case .probe, .begin, .end:
            var actions = end(with: .failure(.greetedAgain))
            actions.dropsTyping = true
            return actions
        }
    }

    private mutating func becomeReady() -> Ending {
        hasGreeted = false
        frame = nil
        return .success(Answer())
    }

    private mutating func end(with ending: Ending) -> Actions {
        guard wait != nil else { return Actions() }
        wait = nil
        return Actions(ending: ending)
    }

    /// The index behind the last greeting that ends in `bytes`.
    private mutating func lastGreeting(in bytes: ArraySlice<UInt8>) -> Int? {
        var found: Int?
        while let end = greeting?.take(bytes[(found ?? bytes.startIndex)...]) { found = end }
        return found
    }
}
