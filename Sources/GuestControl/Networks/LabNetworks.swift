import Diagnostics
import HostResources
import HostSystem
import LabSpec
import Synchronization

/// The networks of one run: an Ethernet switch for each, and the guests' cards in them. `NetworkMap` says which those are.
package final class LabNetworks: Sendable {
    private struct State {
        var map = NetworkMap()
        /// By the networks' numbers.
        var switches: [EthernetSwitch] = []
    }

    private let directory: String
    private let state = Mutex(State())

    /// Networks of a run, none yet; their switches' sockets will lie in the run's folder `directory`.
    package init(in directory: String) { self.directory = directory }

    /// These networks with these guests. Throws a `Diagnostic`.
    package convenience init(_ networks: [NetworkSpec], _ guests: [PlannedGuest], in directory: String) throws {
        self.init(in: directory)
        for network in networks { try add(network) }
        _ = try join(guests)
    }

    /// Makes a network with its switch, unless there is one of this name. Throws a `Diagnostic`.
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
            // Some see the cause alone, so it has the remedy too.
            throw Diagnostic(
                .host, "the network \(network) has no connection to the outside", remedy: lack.remedy,
                cause: [lack.message, lack.remedy].compactMap { $0 }.joined(separator: "; "))
        }
    }

    /// Gives guests their numbers in the run, in order. Throws a `Diagnostic` when there are not so many.
    package func join(_ guests: [PlannedGuest]) throws(Diagnostic) -> [Int] {
        let members = guests.map { NetworkMap.Member(name: $0.guest.name, networks: $0.group.networks) }
        return try state.withLock { state throws(Diagnostic) in try state.map.join(members) }
    }

    /// A guest is gone: others get its number, and need not know its name.
    package func leave(_ guest: Int) { state.withLock { $0.map.leave(guest) } }

    /// Ends the switches. Safe to repeat.
    func close() {
        for hub in state.withLock({ $0.switches }) { hub.close() }
    }

    /// The network cards of a guest, by its number in the plan; their sockets lie in the machine's folder `directory`. Those
    /// between guests reach nobody until `plug`, that for the outside nothing but within `withOutside`.
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

    /// What each of a guest's cards is for, in the order of `attachments`.
    func cards(of guest: Int) -> [NetworkAttachment.Kind] {
        state.withLock { state in
            state.map.cards(of: guest).map { _ in .segment } + (state.map.hasOutside(guest) ? [.nat] : [])
        }
    }

    /// The Ethernet addresses of a guest's cards, in the order of `attachments`.
    func cardAddresses(of guest: Int) -> [String] { state.withLock { $0.map.cardAddresses(of: guest) } }

    /// Runs `body` while the guest's card for the outside, if it has one, reaches that. Throws what keeps it from that, and
    /// what `body` throws.
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

    /// Plugs a guest's cards into their switches. Throws a `Diagnostic`.
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

    /// Unplugs a guest whose machine is gone.
    func detach(_ guest: Int, from directory: String) {
        for (card, hub) in plugs(of: guest) { hub.detach(Self.socket(of: card, in: directory)) }
    }

    private func plugs(of guest: Int) -> [(card: NetworkMap.Card, hub: EthernetSwitch)] {
        state.withLock { state in state.map.cards(of: guest).map { ($0, state.switches[$0.network]) } }
    }

    /// A guest's addresses on the networks that it has joined, by their names.
    func addresses(of guest: Int) -> [String: String] {
        state.withLock { state in
            let named = state.map.cards(of: guest).map { (state.map.networks[$0.network].name, $0.address) }
            return Dictionary(named) { first, _ in first }
        }
    }

    /// Counts the changes of what `hosts` says.
    var generation: Int { state.withLock { $0.map.generation } }

    /// The addresses and names of all guests on the networks of this one, itself too: lines of `/etc/hosts`.
    func hosts(of guest: Int) -> HostNames {
        // As long as there are guests: not under the lock.
        let map = state.withLock { $0.map }
        return map.hosts(of: guest)
    }

    /// What the guest's control shell runs at the ready point: addresses, and the names of all peers. Nil without cards.
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

    /// A network card of a clone: the address that it had, and what it has from now on.
    struct CardChange: Sendable, Hashable {
        let former: String
        let mac: String
        /// With the length of the network's part, as in `10.100.0.1/16`.
        let address: String
    }

    /// What is new about the cards of a guest that goes on from one whose cards had the addresses `former`.
    func changes(of guest: Int, from former: [String]) -> [CardChange] {
        state.withLock { state in
            let addresses = state.map.cards(of: guest).map { $0.address + "/16" } + [OutsideLink.address]
            return zip(former, zip(state.map.cardAddresses(of: guest), addresses)).map { former, new in
                CardChange(former: former, mac: new.0, address: new.1)
            }
        }
    }

    /// Whether the guest has a card for the outside.
    func hasOutside(_ guest: Int) -> Bool { state.withLock { $0.map.hasOutside(guest) } }

    private static func socket(of card: NetworkMap.Card, in directory: String) -> String {
        "\(directory)/card\(card.network)"
    }
}
