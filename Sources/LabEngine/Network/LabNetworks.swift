import Diagnostics
import HostSystem
import LabSpec

/// The networks of one run: an Ethernet switch for each, and every guest's cards, addresses and names on them.
///
/// Network number k has the addresses 10.(100 + k).0.0/16, in which guest number n (from 1, over the whole lab) has the
/// host part n. On a network with `nat` each guest has a second card for the outside, behind QEMU's own router.
final class LabNetworks: Sendable {
    /// More would leave the private addresses 10.100 to 10.199.
    static let limit = 100

    private struct Card {
        let mac: String
        let address: String
        let network: Int
    }

    private let plan: RunPlan
    private let switches: [EthernetSwitch]

    /// Makes the switches; their sockets lie in the run's folder `directory`. Throws a `Diagnostic`.
    init(_ plan: RunPlan, in directory: String) throws {
        self.plan = plan
        guard plan.lab.networks.count <= Self.limit else {
            throw Diagnostic(
                .specification, "the lab has \(plan.lab.networks.count) networks, at most \(Self.limit) are possible")
        }
        switches = try plan.lab.networks.indices.map { number in
            do throws(SystemCallError) {
                return try EthernetSwitch(path: "\(directory)/switch\(number)")
            } catch {
                throw error.diagnostic("cannot make the switch of network \(plan.lab.networks[number].name)")
            }
        }
    }

    /// Ends the switches. Safe to repeat.
    func close() {
        for hub in switches { hub.close() }
    }

    /// The network cards of a guest, by its number in the plan; their sockets lie in the machine's folder `directory`.
    func attachments(of guest: Int, in directory: String) throws -> [NetworkAttachment] {
        var attachments: [NetworkAttachment] = []
        for card in cards(of: guest) {
            let local = socket(of: card, in: directory)
            do throws(SystemCallError) {
                try switches[card.network].attach(local)
            } catch {
                throw error.diagnostic("cannot plug \(plan.guests[guest].guest.name) into its network")
            }
            attachments.append(
                NetworkAttachment(mac: card.mac, link: .segment(local: local, remote: switches[card.network].path)))
        }
        if hasOutside(guest) { attachments.append(NetworkAttachment(mac: outsideCard(of: guest), link: .nat)) }
        return attachments
    }

    /// Unplugs a guest whose machine is gone.
    func detach(_ guest: Int, from directory: String) {
        for card in cards(of: guest) { switches[card.network].detach(socket(of: card, in: directory)) }
    }

    /// What the guest's plumbing shell runs at the ready point: addresses, and the names of all peers. Nil without cards.
    func setup(of guest: Int) -> String? {
        let cards = cards(of: guest)
        guard !cards.isEmpty else { return nil }
        var lines = [
            "card() {",
            "    for d in /sys/class/net/*; do",
            "        read -r mac < $d/address; d=${d##*/}",
            "        [ $mac != $1 ] || { busybox ip addr add $2 dev $d && busybox ip link set $d up; return; }",
            "    done",
            "    echo no network card $1; return 1",
            "}",
            "set -e",
        ]
        for card in cards { lines.append("card \(card.mac) \(card.address)/16") }
        if hasOutside(guest) {
            // The addresses of QEMU's user network: ours, its router's, its name server's.
            lines.append("card \(outsideCard(of: guest)) 10.0.2.15/24")
            lines.append("busybox ip route add default via 10.0.2.2")
            lines.append("echo nameserver 10.0.2.3 > /etc/resolv.conf")
        }
        lines.append("cat >> /etc/hosts <<end")
        for network in Set(cards.map(\.network)).sorted() {
            for (number, peer) in plan.guests.enumerated()
            where peer.group.networks.contains(plan.lab.networks[network].name) {
                lines.append("\(address(of: number, on: network)) \(peer.guest.name)")
            }
        }
        lines.append("end")
        return lines.joined(separator: "\n")
    }

    private func cards(of guest: Int) -> [Card] {
        plan.guests[guest].group.networks.compactMap { name in
            guard let network = plan.lab.networks.firstIndex(where: { $0.name == name }) else { return nil }
            return Card(
                mac: mac(network, guest), address: address(of: guest, on: network), network: network)
        }
    }

    private func hasOutside(_ guest: Int) -> Bool {
        cards(of: guest).contains { plan.lab.networks[$0.network].nat }
    }

    private func outsideCard(of guest: Int) -> String { mac(0xff, guest) }

    /// Locally administered: QEMU's prefix, the network, the guest.
    private func mac(_ network: Int, _ guest: Int) -> String {
        let bytes = [0x52, 0x54, 0x00, network, (guest + 1) >> 8, (guest + 1) & 0xff]
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }

    private func address(of guest: Int, on network: Int) -> String {
        "10.\(100 + network).\((guest + 1) >> 8).\((guest + 1) & 0xff)"
    }

    private func socket(of card: Card, in directory: String) -> String { "\(directory)/card\(card.network)" }
}
