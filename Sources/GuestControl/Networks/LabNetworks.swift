import Diagnostics
import HostResources
import HostSystem
import LabSpec
import Synchronization

/// The networks of one run: an Ethernet switch for each, with the guests' cards. `NetworkMap` assigns cards and addresses.
package final class LabNetworks: Sendable {
    private struct State {
        var map = NetworkMap()
        /// By network number.
        var switches: [EthernetSwitch] = []
    }

    private let directory: String
    private let state = Mutex(State())

    /// Without networks yet; the switches' sockets are made in the run's folder `directory`.
    package init(in directory: String) { self.directory = directory }

    /// With these networks and guests. Throws a `Diagnostic`.
    package convenience init(_ networks: [NetworkSpec], _ guests: [PlannedGuest], in directory: String) throws {
        self.init(in: directory)
        for network in networks { try add(network) }
        _ = try join(guests)
    }

    /// Adds a network with its switch, unless one of this name exists. Throws a `Diagnostic`.
    package func add(_ network: NetworkSpec) throws {
        if network.nat { try Self.requireOutside(network.name) }
        try state.withLock { state in
            var map = state.map
            guard try map.add(network) else { return }
            do throws(SystemCallError) {
                state.switches.append(try EthernetSwitch(path: "\(directory)/switch\(state.switches.count)"))
            } catch {
                throw error.diagnostic("cannot make the switch of network \(network.name)")
            }
            state.map = map
        }
    }

    private static func requireOutside(_ network: String) throws {
        do {
            try Tool.require(OutsideLink.programs)
        } catch let lack as Diagnostic {
            // Some callers show only the cause, so it includes the remedy.
            throw Diagnostic(
                .host, "the network \(network) has no connection to the outside", remedy: lack.remedy,
                cause: [lack.message, lack.remedy].compactMap { $0 }.joined(separator: "; "))
        }
    }

    /// Assigns guests their numbers in the run, in order. Throws a `Diagnostic` when too few are free.
    package func join(_ guests: [PlannedGuest]) throws(Diagnostic) -> [Int] {
        let members = guests.map { NetworkMap.Member(name: $0.guest.name, networks: $0.group.networks) }
        return try state.withLock { state throws(Diagnostic) in try state.map.join(members) }
    }

    /// Releases a guest's number and name.
    package func leave(_ guest: Int) { state.withLock { $0.map.leave(guest) } }

    /// Closes the switches. Safe to repeat.
    func close() {
        for hub in state.withLock({ $0.switches }) { hub.close() }
    }

    /// The network cards of a guest, by its number in the plan; their sockets are in the machine's folder `directory`. Cards
    /// between guests are connected by `plug`, the outside card by `withOutside`.
    func attachments(of guest: Int, in directory: String) -> [NetworkAttachment] {
        state.withLock { state in
            let segments = state.map.cards(of: guest).map { card in
                NetworkAttachment(
                    mac: card.mac, local: Self.socket(of: card, in: directory),
                    remote: state.switches[card.network].path)
            }
            guard state.map.hasOutside(guest) else { return segments }
            return segments + [OutsideCard(mac: NetworkMap.outsideCard(of: guest), in: directory).attachment]
        }
    }

    /// The kinds of a guest's cards, in the order of `attachments`.
    func cards(of guest: Int) -> [NetworkAttachment.Kind] {
        state.withLock { state in
            state.map.cards(of: guest).map { _ in .segment } + (state.map.hasOutside(guest) ? [.nat] : [])
        }
    }

    /// The MAC addresses of a guest's cards, in the order of `attachments`.
    func cardAddresses(of guest: Int) -> [String] { state.withLock { $0.map.cardAddresses(of: guest) } }

    /// Runs `body` with the guest's outside card, if any, connected. Throws when it cannot be connected, and errors of `body`.
    func withOutside<Result: Sendable>(
        of guest: Int, in directory: String, journal: RunJournal, onNote: @escaping @Sendable (String) -> Void,
        _ body: () async throws -> Result
    ) async throws -> Result {
        let outside = state.withLock { state -> (name: String, ports: [UInt16])? in
            guard state.map.hasOutside(guest) else { return nil }
            return (
                state.map.name(of: guest), state.map.cards(of: guest).flatMap { state.map.networks[$0.network].host }
            )
        }
        guard let outside else { return try await body() }
        return try await OutsideCard(mac: NetworkMap.outsideCard(of: guest), in: directory).open(
            of: outside.name, hostPorts: Set(outside.ports), journal: journal, onNote: onNote, body)
    }

    /// Connects a guest's cards to their switches. Throws a `Diagnostic`.
    func plug(_ guest: Int, in directory: String) throws {
        for (card, hub) in plugs(of: guest) {
            do throws(SystemCallError) {
                try hub.attach(Self.socket(of: card, in: directory))
            } catch {
                let name = state.withLock { $0.map.name(of: guest) }
                throw error.diagnostic("cannot plug \(name) into its network")
            }
        }
    }

    /// Disconnects a guest whose machine is gone.
    func detach(_ guest: Int, from directory: String) {
        for (card, hub) in plugs(of: guest) { hub.detach(Self.socket(of: card, in: directory)) }
    }

    private func plugs(of guest: Int) -> [(card: NetworkMap.Card, hub: EthernetSwitch)] {
        state.withLock { state in state.map.cards(of: guest).map { ($0, state.switches[$0.network]) } }
    }

    /// A guest's addresses, by network name.
    func addresses(of guest: Int) -> [String: String] {
        state.withLock { state in
            let named = state.map.cards(of: guest).map { (state.map.networks[$0.network].name, $0.address) }
            return Dictionary(named) { first, _ in first }
        }
    }

    /// Incremented by each change of `hosts`.
    var generation: Int { state.withLock { $0.map.generation } }

    /// The `/etc/hosts` lines of all guests on this guest's networks, including its own.
    func hosts(of guest: Int) -> HostNames {
        // Outside the lock, because it takes time proportional to the number of guests.
        let map = state.withLock { $0.map }
        return map.hosts(of: guest)
    }

    /// The control shell's commands at the ready point: addresses, and the names of all peers. Nil without cards.
    func setup(of guest: Int) -> String? {
        let map = state.withLock { $0.map }
        let cards = map.cards(of: guest)
        guard !cards.isEmpty else { return nil }
        var lines = NetworkScript.functions + ["set -e"]
        for card in cards { lines.append("card \(card.mac) \(card.address)/16") }
        if map.hasOutside(guest) {
            lines.append("card \(NetworkMap.outsideCard(of: guest)) \(OutsideLink.address)")
            lines += ["router \(OutsideLink.router)", NetworkScript.nameServer]
        }
        lines += NetworkScript.names(adding: map.hosts(of: guest).lines)
        return lines.joined(separator: "\n")
    }

    /// A clone's network card: its former and its new address.
    struct CardChange: Sendable, Hashable {
        let former: String
        let mac: String
        /// With the prefix length, as in `10.100.0.1/16`.
        let address: String
    }

    /// The changes for a guest that is restored from one whose cards had the MAC addresses `former`.
    func changes(of guest: Int, from former: [String]) -> [CardChange] {
        state.withLock { state in
            let addresses = state.map.cards(of: guest).map { $0.address + "/16" } + [OutsideLink.address]
            return zip(former, zip(state.map.cardAddresses(of: guest), addresses)).map { former, new in
                CardChange(former: former, mac: new.0, address: new.1)
            }
        }
    }

    func hasOutside(_ guest: Int) -> Bool { state.withLock { $0.map.hasOutside(guest) } }

    private static func socket(of card: NetworkMap.Card, in directory: String) -> String {
        "\(directory)/card\(card.network)"
    }
}
