import Diagnostics
import LabSpec
import Testing

@testable import GuestControl

@Suite("Who is on which network") struct NetworkMapTests {
    private static func member(_ name: String, _ networks: [String] = ["lan"]) -> NetworkMap.Member {
        NetworkMap.Member(name: name, networks: networks)
    }

    @Test("a network of one name is made once, and there are a hundred")
    func networks() throws {
        var map = NetworkMap()
        #expect(try map.add(NetworkSpec(name: "lan", nat: true)))
        #expect(try !map.add(NetworkSpec(name: "lan")))
        #expect(map.networks.map(\.nat) == [true])
        // Who only joins it takes it as it is; what it does not have is not left out in silence.
        #expect(try !map.add(NetworkSpec(name: "lan", nat: true)))
        let error = #expect(throws: Diagnostic.self) {
            try map.add(NetworkSpec(name: "lan", nat: true, host: [80]))
        }
        #expect(error?.message == "the network `lan` exists already, and without all of this access")
        for number in 1..<NetworkMap.networkLimit { #expect(try map.add(NetworkSpec(name: "n\(number)"))) }
        #expect(throws: Diagnostic.self) { try map.add(NetworkSpec(name: "one more")) }
    }

    @Test("a guest has a card on each of its networks, and one for the outside")
    func cards() throws {
        var map = NetworkMap()
        _ = try map.add(NetworkSpec(name: "lan"))
        _ = try map.add(NetworkSpec(name: "net", nat: true))
        let numbers = try map.join([Self.member("a"), Self.member("b", ["net", "lan"]), Self.member("c", [])])
        #expect(numbers == [0, 1, 2])
        #expect(map.cards(of: 0).map(\.address) == ["10.100.0.1"])
        #expect(map.cards(of: 1).map(\.address) == ["10.101.0.2", "10.100.0.2"])
        #expect(map.cardAddresses(of: 1) == ["52:54:00:01:00:02", "52:54:00:00:00:02", "52:54:00:ff:00:02"])
        #expect(map.cardAddresses(of: 2).isEmpty)
        #expect(map.hosts(of: 0).lines == ["10.100.0.1 a", "10.100.0.2 b"])
        #expect(map.hosts(of: 2).lines.isEmpty)
    }

    @Test("who is gone is in nobody's names")
    func leaving() throws {
        var map = NetworkMap()
        _ = try map.add(NetworkSpec(name: "lan"))
        _ = try map.join([Self.member("a"), Self.member("b")])
        let before = map.generation
        map.leave(0)
        #expect(map.generation != before)
        #expect(map.hosts(of: 1).lines == ["10.100.0.2 b"])
        #expect(map.hosts(of: 0).lines.isEmpty && map.cards(of: 0).isEmpty && map.name(of: 0).isEmpty)
        // Others may not know yet: the number is kept for later.
        #expect(try map.join([Self.member("c")]) == [2])
    }

    @Test("numbers are bounded, and come back when all were given")
    func bounds() throws {
        var map = NetworkMap()
        _ = try map.add(NetworkSpec(name: "lan"))
        _ = try map.join(Array(repeating: Self.member("g"), count: NetworkMap.guestLimit - 1))
        let last = try map.join([Self.member("last")])[0]
        #expect(map.cards(of: last).map(\.address) == ["10.100.255.254"])
        #expect(map.cards(of: last).map(\.mac) == ["52:54:00:00:ff:fe"])
        let error = #expect(throws: Diagnostic.self) { try map.join([Self.member("one more")]) }
        #expect(error?.message.contains("65534 guests at a time, and 0 of them are free") == true)
        map.leave(7)
        map.leave(3)
        #expect(throws: Diagnostic.self) { try map.join(Array(repeating: Self.member("h"), count: 3)) }
        #expect(try map.join([Self.member("h"), Self.member("i")]) == [3, 7])
        #expect(map.cards(of: 3).map(\.address) == ["10.100.0.4"])
    }
}
