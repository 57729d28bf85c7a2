import QMP

extension VMConfiguration {
    /// Sockets that the machine makes at a path and removes in the end.
    var socketPaths: [String] {
        let ports = networks.compactMap { card -> String? in
            if case .sockets(let local, _) = card.link { local } else { nil }
        }
        return servedPaths + ports
    }

    /// Whether clients come to it by sockets.
    var isListening: Bool { !servedPaths.isEmpty }

    private var servedPaths: [String] {
        [com1, com2, monitor].compactMap { endpoint in if case .socket(let path) = endpoint { path } else { nil } }
    }
}
