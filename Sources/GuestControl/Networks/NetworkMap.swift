import Diagnostics
import LabSpec

/// Assigns the guests of a run their numbers, cards, addresses and names on its networks. Network number k is 10.(100 + k).0.0/16,
/// in which guest number n (from 0, over the whole run) has the host part n + 1. On a network with `nat` each guest has a second
/// card for the outside, behind a router of its own.
struct NetworkMap {
    /// The limit of the private range 10.100 to 10.199.
    static let networkLimit = 100
    /// The limit below the broadcast address, whose host part is 65 535.
    static let guestLimit = 65_534

    struct Card: Hashable {
        let mac: String
        let address: String
        let network: Int
    }

    struct Member: Hashable {
        let name: String
        /// The names of its networks, in the order of its cards.
        let networks: [String]
    }

    private(set) var networks: [NetworkSpec] = []
    /// By guest number; nil for a free one.
    private var members: [Member?] = []
    /// Where the search for a free number starts.
    private var next = 0
    /// Incremented by each change.
    private(set) var generation = 0

    /// Adds a network; false when one of this name exists. Throws a `Diagnostic` when there are too many, or when the existing
    /// one lacks access that this one has.
    mutating func add(_ network: NetworkSpec) throws(Diagnostic) -> Bool {
        if let present = networks.first(where: { $0.name == network.name }) {
            guard !network.nat || present.nat && network.host.isSubset(of: present.host) else {
                throw Diagnostic(
                    .specification,
                    "the network \(network.name.quoted()) exists already, and without all of this access",
                    remedy: "declare it with `nat` and `host` before the first guest joins it")
            }
            return false
        }
        guard networks.count < Self.networkLimit else {
            throw Diagnostic(.specification, "the lab has more than \(Self.networkLimit) networks")
        }
        networks.append(network)
        generation += 1
        return true
    }

    /// Assigns guests their numbers, in order. Numbers of former guests are reused only when no others are free, because peers
    /// may still have the former guest's name. Throws a `Diagnostic` when too few are free.
    mutating func join(_ newcomers: [Member]) throws(Diagnostic) -> [Int] {
        let free = Self.guestLimit - members.count { $0 != nil }
        guard newcomers.count <= free else {
            throw Diagnostic(
                .specification,
                "a run has numbers and addresses for \(Self.guestLimit) guests at a time, and \(free) of them are free",
                remedy: "end some of its guests before others are booted")
        }
        generation += 1
        return newcomers.map { newcomer in
            while next < members.count, members[next] != nil { advance() }
            defer { advance() }
            if next == members.count { members.append(newcomer) } else { members[next] = newcomer }
            return next
        }
    }

    private mutating func advance() { next = (next + 1) % Self.guestLimit }

    mutating func leave(_ guest: Int) {
        members[guest] = nil
        generation += 1
    }

    private func member(_ guest: Int) -> Member? { members.indices.contains(guest) ? members[guest] : nil }

    /// The guest's name; empty after `leave`.
    func name(of guest: Int) -> String { member(guest)?.name ?? "" }

    /// A guest's cards on networks, in order.
    func cards(of guest: Int) -> [Card] {
        (member(guest)?.networks ?? []).compactMap { name in
            networks.firstIndex { $0.name == name }.map { network in
                Card(
                    mac: Self.mac(network, guest), address: Self.address(of: guest, on: network), network: network)
            }
        }
    }

    func hasOutside(_ guest: Int) -> Bool { cards(of: guest).contains { networks[$0.network].nat } }

    /// The MAC addresses of all of a guest's cards, including the outside card.
    func cardAddresses(of guest: Int) -> [String] {
        cards(of: guest).map(\.mac) + (hasOutside(guest) ? [Self.outsideCard(of: guest)] : [])
    }

    /// The addresses and names of all guests on this guest's networks, including its own.
    func hosts(of guest: Int) -> HostNames {
        let mine = Set(cards(of: guest).map(\.network)).sorted()
        let lines = mine.flatMap { network in
            members.enumerated().compactMap { number, member -> String? in
                guard let member, member.networks.contains(networks[network].name) else { return nil }
                return "\(Self.address(of: number, on: network)) \(member.name)"
            }
        }
        return HostNames(lines: lines, generation: generation)
    }

    static func outsideCard(of guest: Int) -> String { mac(0xff, guest) }

    /// Locally administered: QEMU's prefix, the network, the guest.
    static func mac(_ network: Int, _ guest: Int) -> String {
        let bytes = [0x52, 0x54, 0x00, network, (guest + 1) >> 8, (guest + 1) & 0xff]
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }

    private static func address(of guest: Int, on network: Int) -> String {
        "10.\(100 + network).\((guest + 1) >> 8).\((guest + 1) & 0xff)"
    }
}

/// The entries for guests in a guest's `/etc/hosts`.
struct HostNames: Sendable {
    /// Lines of an address and a name.
    var lines: [String] = []
    /// The `NetworkMap.generation` that they are from; nil when they may differ from the map's.
    var generation: Int?

    /// The same, merged with entries that the guest already has.
    func added(to former: [String]) -> HostNames {
        guard !former.isEmpty else { return self }
        let known = Set(former)
        return HostNames(lines: former + lines.filter { !known.contains($0) }, generation: nil)
    }
}
