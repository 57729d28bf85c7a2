import Diagnostics
import HostSystem
import LabSpec
import Synchronization

/// The networks of one run: an Ethernet switch for each, and every guest's cards, addresses and names on them.
///
/// Network number k has the addresses 10.(100 + k).0.0/16, in which guest number n (from 1, over the whole lab) has the
/// host part n. On a network with `nat` each guest has a second card for the outside, behind a router of its own.
final class LabNetworks: Sendable {
    /// More would leave the private addresses 10.100 to 10.199.
    static let limit = 100

    private struct Card {
        let mac: String
        let address: String
        let network: Int
    }

    /// A network with its switch.
    private struct Segment {
        let spec: NetworkSpec
        let hub: EthernetSwitch
    }

    private struct State {
        var segments: [Segment] = []
        var guests: [RunPlan.PlannedGuest] = []
    }

    private let directory: String
    private let state = Mutex(State())

    /// Networks of a run, none yet; their switches' sockets will lie in the run's folder `directory`.
    init(in directory: String) { self.directory = directory }

    /// The networks and guests of a plan. Throws a `Diagnostic`.
    convenience init(_ plan: RunPlan, in directory: String) throws {
        self.init(in: directory)
        for network in plan.lab.networks { try add(network) }
        add(plan.guests)
    }

    /// Makes a network's switch. Throws a `Diagnostic`.
    func add(_ network: NetworkSpec) throws {
        if network.nat { try Self.requireOutside(network.name) }
        try state.withLock { state in
            guard state.segments.count < Self.limit else {
                throw Diagnostic(.specification, "the lab has more than \(Self.limit) networks")
            }
            do throws(SystemCallError) {
                let hub = try EthernetSwitch(path: "\(directory)/switch\(state.segments.count)")
                state.segments.append(Segment(spec: network, hub: hub))
            } catch {
                throw error.diagnostic("cannot make the switch of network \(network.name)")
            }
        }
    }

    private static func requireOutside(_ network: String) throws {
        do {
            try Tool.require(OutsideLink.programs)
        } catch let lack as Diagnostic {
            // Some see the cause alone, so it has the remedy too.
            throw Diagnostic(
                .host, "the network \(network) has no way to the outside", remedy: lack.remedy,
                cause: [lack.message, lack.remedy].compactMap { $0 }.joined(separator: "; "))
        }
    }

    /// The network of this name, once there is one.
    func network(_ name: String) -> NetworkSpec? {
        state.withLock { state in state.segments.first { $0.spec.name == name }?.spec }
    }

    /// Gives guests their numbers in the run, in order; returns the first one's.
    @discardableResult
    func add(_ guests: [RunPlan.PlannedGuest]) -> Int {
        state.withLock { state in
            defer { state.guests += guests }
            return state.guests.count
        }
    }

    /// Ends the switches. Safe to repeat.
    func close() {
        for segment in state.withLock({ $0.segments }) { segment.hub.close() }
    }

    /// The network cards of a guest, by its number in the plan; their sockets lie in the machine's folder `directory`. Those
    /// between guests reach nobody until `plug`, that for the outside nothing but within `withOutside`.
    func attachments(of guest: Int, in directory: String) -> [NetworkAttachment] {
        let state = state.withLock { $0 }
        var attachments: [NetworkAttachment] = []
        for card in Self.cards(of: guest, state) {
            let local = Self.socket(of: card, in: directory)
            let hub = state.segments[card.network].hub
            attachments.append(NetworkAttachment(mac: card.mac, local: local, remote: hub.path))
        }
        if Self.hasOutside(guest, state) {
            attachments.append(OutsideCard(mac: Self.outsideCard(of: guest), in: directory).attachment)
        }
        return attachments
    }

    /// What each of a guest's cards is for, in the order of `attachments`.
    func cards(of guest: Int) -> [NetworkAttachment.Kind] {
        let state = state.withLock { $0 }
        return Self.cards(of: guest, state).map { _ in .segment } + (Self.hasOutside(guest, state) ? [.nat] : [])
    }

    /// The addresses of a guest's cards, in the order of `attachments`.
    func cardAddresses(of guest: Int) -> [String] {
        let state = state.withLock { $0 }
        return Self.cardAddresses(of: guest, state)
    }

    private static func cardAddresses(of guest: Int, _ state: State) -> [String] {
        cards(of: guest, state).map(\.mac) + (hasOutside(guest, state) ? [outsideCard(of: guest)] : [])
    }

    /// Runs `body` while the guest's card for the outside, if it has one, reaches that. Throws what keeps it from that, and
    /// what `body` throws.
    func withOutside<Result: Sendable>(
        of guest: Int, in directory: String, journal: RunJournal, onNote: @escaping @Sendable (String) -> Void,
        _ body: () async throws -> Result
    ) async throws -> Result {
        let state = state.withLock { $0 }
        guard Self.hasOutside(guest, state) else { return try await body() }
        let ports = Self.cards(of: guest, state).flatMap { state.segments[$0.network].spec.host }
        return try await OutsideCard(mac: Self.outsideCard(of: guest), in: directory).open(
            of: state.guests[guest].guest.name, hostPorts: Set(ports), journal: journal, onNote: onNote, body)
    }

    /// Plugs a guest's cards into their switches. Throws a `Diagnostic`.
    func plug(_ guest: Int, in directory: String) throws {
        let state = state.withLock { $0 }
        for card in Self.cards(of: guest, state) {
            do throws(SystemCallError) {
                try state.segments[card.network].hub.attach(Self.socket(of: card, in: directory))
            } catch {
                throw error.diagnostic("cannot plug \(state.guests[guest].guest.name) into its network")
            }
        }
    }

    /// Unplugs a guest whose machine is gone.
    func detach(_ guest: Int, from directory: String) {
        let state = state.withLock { $0 }
        for card in Self.cards(of: guest, state) {
            state.segments[card.network].hub.detach(Self.socket(of: card, in: directory))
        }
    }

    /// A guest's address on a network that it has joined.
    func address(of guest: Int, on network: String) -> String? {
        let state = state.withLock { $0 }
        return Self.cards(of: guest, state).first { state.segments[$0.network].spec.name == network }?.address
    }

    /// The addresses and names of all guests on the networks of this one, itself too: lines of `/etc/hosts`.
    func hosts(of guest: Int) -> [String] {
        let state = state.withLock { $0 }
        return Set(Self.cards(of: guest, state).map(\.network)).sorted().flatMap { network in
            state.guests.enumerated()
                .filter { $0.element.group.networks.contains(state.segments[network].spec.name) }
                .map { "\(Self.address(of: $0.offset, on: network)) \($0.element.guest.name)" }
        }
    }

    /// What the guest's plumbing shell runs at the ready point: addresses, and the names of all peers. Nil without cards.
    func setup(of guest: Int) -> String? {
        let state = state.withLock { $0 }
        let cards = Self.cards(of: guest, state)
        guard !cards.isEmpty else { return nil }
        var lines = NetworkScript.functions + ["set -e"]
        for card in cards { lines.append("card \(card.mac) \(card.address)/16") }
        if Self.hasOutside(guest, state) {
            lines.append("card \(Self.outsideCard(of: guest)) \(OutsideLink.address)")
            lines += ["router \(OutsideLink.router)", Self.nameServer]
        }
        lines += Self.naming(hosts(of: guest))
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
        let state = state.withLock { $0 }
        let addresses = Self.cards(of: guest, state).map { $0.address + "/16" } + [OutsideLink.address]
        return zip(former, zip(Self.cardAddresses(of: guest, state), addresses)).map { former, new in
            CardChange(former: former, mac: new.0, address: new.1)
        }
    }

    /// Whether the guest has a card for the outside.
    func hasOutside(_ guest: Int) -> Bool { Self.hasOutside(guest, state.withLock { $0 }) }

    /// What a clone's plumbing shell runs to have its own cards' addresses and not those of the guest that it was.
    static func readdressing(_ changes: [CardChange]) -> [String] {
        guard !changes.isEmpty else { return [] }
        let lines = [
            "card() {",
            "    for d in /sys/class/net/*; do",
            "        read -r mac < $d/address; d=${d##*/}",
            "        [ $mac = $1 ] || continue",
            // Down, so that nothing keeps an address or a neighbour of the original's.
            "        busybox ip link set $d down; busybox ip link set $d address $2 || return",
            "        busybox ip addr flush dev $d; busybox ip addr add $3 dev $d || return",
            "        busybox ip link set $d up; return",
            "    done",
            "    echo no network card $1; return 1",
            "}",
        ]
        return lines + changes.map { "card \($0.former) \($0.mac) \($0.address) || exit" }
    }

    /// Has a guest ask for names whom the host asks.
    static var nameServer: String { "echo nameserver \(OutsideLink.nameServer) >/etc/resolv.conf" }

    /// The way out.
    static var outside: [String] {
        [
            "busybox ip route add default via \(OutsideLink.router) 2> /dev/null || busybox ip route | grep -q ^default",
            nameServer,
        ]
    }

    /// What tells a guest the names of others.
    static func naming(_ hosts: [String]) -> [String] { ["cat >> /etc/hosts <<end"] + hosts + ["end"] }

    private static func cards(of guest: Int, _ state: State) -> [Card] {
        state.guests[guest].group.networks.compactMap { name in
            guard let network = state.segments.firstIndex(where: { $0.spec.name == name }) else { return nil }
            return Card(
                mac: mac(network, guest), address: address(of: guest, on: network), network: network)
        }
    }

    private static func hasOutside(_ guest: Int, _ state: State) -> Bool {
        cards(of: guest, state).contains { state.segments[$0.network].spec.nat }
    }

    private static func outsideCard(of guest: Int) -> String { mac(0xff, guest) }

    /// Locally administered: QEMU's prefix, the network, the guest.
    static func mac(_ network: Int, _ guest: Int) -> String {
        let bytes = [0x52, 0x54, 0x00, network, (guest + 1) >> 8, (guest + 1) & 0xff]
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }

    private static func address(of guest: Int, on network: Int) -> String {
        "10.\(100 + network).\((guest + 1) >> 8).\((guest + 1) & 0xff)"
    }

    private static func socket(of card: Card, in directory: String) -> String { "\(directory)/card\(card.network)" }
}
