import JSON

/// A machine's state in QMP's terms.
package enum RunState: String, Sendable, Hashable {
    /// The processors run, or halt waiting for an interrupt.
    case running
    /// The processors are held, by `stop` or before the first `cont`.
    case paused
    /// The guest has powered itself off.
    case shutdown
    /// The machine was saved with its memory in the snapshot's own file, and stands still for good.
    case saved = "postmigrate"
    /// A vCPU met an error from which it cannot continue.
    case internalError = "internal-error"
    /// The machine stopped on an I/O error of the host. QEMU's alone.
    case ioError = "io-error"
    /// The last steps of a migration. QEMU's alone.
    case finishMigrate = "finish-migrate"

    /// From the answer to `query-status`; nil for any other state.
    package init?(answer: JSONValue) {
        guard let state = answer["status"]?.stringValue.flatMap(Self.init) else { return nil }
        self = state
    }

    /// The answer to `query-status`.
    package var answer: JSONValue {
        ["status": .string(rawValue), "running": .bool(self == .running), "singlestep": false]
    }
}

/// The action after a guest powers itself off.
package enum ShutdownAction: String, Sendable, Hashable {
    /// It ends: the default.
    case poweroff
    /// It stays with its disks, held; a reset and `cont` power it on.
    case pause
}
