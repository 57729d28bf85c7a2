import HostSystem

/// What a guest's shell runs to have addresses and to know names, with the tools that its system has: iproute2, as distributions
/// have it; `ifconfig` and `route`, as older and smaller ones do; else busybox, as the catalog's images.
enum NetworkScript {
    /// Sees that the cards of these Ethernet addresses are there. Its status is 1, and it tells why, where one is not.
    static func check(_ cards: [String]) -> String {
        (functions + cards.map { "find \($0) || exit" }).joined(separator: "\n")
    }

    /// The functions `find ADDRESS`, which waits a while for the card of an Ethernet address and sets `$d` to its name,
    /// `card ADDRESS IP/PREFIX`, which gives it an address, and `router IP`, the way out.
    static let functions = [
        #"PATH=$PATH:/usr/sbin:/sbin"#,
        #"if command -v ip >/dev/null; then ip=ip"#,
        #"elif command -v ifconfig >/dev/null; then ip="#,
        #"elif command -v busybox >/dev/null; then ip='busybox ip'"#,
        #"else echo the guest has none of ip, ifconfig and busybox; exit 1; fi"#,
        #"[ -d /sys/class/net ] || mount -t sysfs sysfs /sys"#,
        #"address() {"#,
        #"    if [ "$ip" ]; then $ip addr add $2 dev $1 && $ip link set $1 up; return; fi"#,
        #"    case $2 in */24) mask=255.255.255.0 ;; *) mask=255.255.0.0 ;; esac"#,
        #"    ifconfig $1 ${2%/*} netmask $mask up"#,
        #"}"#,
        #"router() {"#,
        #"    if [ "$ip" ]; then $ip route add default via $1 2>/dev/null || $ip route | grep -q ^default; return; fi"#,
        #"    route add default gw $1 2>/dev/null || route -n | grep -q '^0\.0\.0\.0'"#,
        #"}"#,
        // A driver that is a module of the guest's own may come a moment after its prompt.
        #"find() {"#,
        #"    for try in 1 2 3 4 5; do"#,
        #"        for d in /sys/class/net/*; do"#,
        #"            [ -e $d/address ] || continue"#,
        #"            read -r mac < $d/address"#,
        #"            d=${d##*/}"#,
        #"            [ $mac != $1 ] || return 0"#,
        #"        done"#,
        #"        [ $try = 5 ] || sleep 1"#,
        #"    done"#,
        #"    lacks="#,
        #"    [ -d /sys/bus/pci/drivers/virtio-pci ] || [ -d /sys/bus/platform/drivers/virtio-mmio ] ||"#,
        #"        lacks=' virtio_pci or virtio_mmio and'"#,
        #"    [ -d /sys/bus/virtio/drivers/virtio_net ] || lacks="$lacks virtio_net""#,
        #"    lacks=${lacks% and}"#,
        #"    echo "no network card $1${lacks:+: the kernel has no driver for it and needs$lacks}""#,
        #"    [ -z "$lacks" ] || echo 'remedy: build it into the kernel, or give the module by `modules:` of the image'"#,
        #"    return 1"#,
        #"}"#,
        #"card() { find $1 && address $d $2; }"#,
    ]

    /// What a clone's control shell runs to have its own cards' addresses and not those of the guest that it was.
    static func readdressing(_ changes: [LabNetworks.CardChange]) -> [String] {
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

    /// What tells a guest of others that have come, and of those that are gone: changes some lines of its names' file, with
    /// what the shell itself can do.
    static func names(adding news: [String], removing gone: [String] = [], in file: String = "/etc/hosts") -> [String] {
        var lines: [String] = []
        if !gone.isEmpty {
            lines = [
                "kept=$(while IFS= read -r line; do case $line in",
                "(\(gone.map { "'\($0)'" }.joined(separator: "|"))) ;;",
                "(*) printf '%s\\n' \"$line\" ;;",
                "esac; done <\(file))",
                "printf '%s\\n' \"$kept\" >\(file)",
            ]
        }
        if !news.isEmpty { lines += ["cat >>\(file) <<end"] + news + ["end"] }
        return lines
    }
}
