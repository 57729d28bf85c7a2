import HostSystem

/// Shell code that sets a guest's addresses and names, with the tools that it has: iproute2; else `ifconfig` and `route`, on
/// older and smaller systems; else busybox, in the catalog's images.
enum NetworkScript {
    /// Checks that the cards with these MAC addresses exist. Exits with 1 and a message when one does not.
    static func check(_ cards: [String]) -> String {
        (functions + cards.map { "find \($0) || exit" }).joined(separator: "\n")
    }

    /// The functions `find ADDRESS`, which waits for the card with a MAC address and sets `$d` to its name; `card ADDRESS
    /// IP/PREFIX`, which sets its address; and `router IP`, which sets the default route.
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
        // A driver that is a module may load shortly after the prompt.
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

    /// Commands for a clone's control shell that replace its golden's addresses by its own.
    static func readdressing(_ changes: [LabNetworks.CardChange]) -> [String] {
        guard !changes.isEmpty else { return [] }
        let lines = [
            "card() {",
            "    for d in /sys/class/net/*; do",
            "        read -r mac < $d/address; d=${d##*/}",
            "        [ $mac = $1 ] || continue",
            // Down, which drops the original's addresses and neighbour entries.
            "        either ip link set $d down; either ip link set $d address $2 || return",
            "        either ip addr flush dev $d; either ip addr add $3 dev $d || return",
            "        either ip link set $d up; return",
            "    done",
            "    echo no network card $1; return 1",
            "}",
        ]
        return lines + changes.map { "card \($0.former) \($0.mac) \($0.address) || exit" }
    }

    /// Sets the name server, which forwards queries to the host's.
    static var nameServer: String { "echo nameserver \(OutsideLink.nameServer) >/etc/resolv.conf" }

    static var outside: [String] {
        [
            "either ip route add default via \(OutsideLink.router) 2> /dev/null || either ip route | grep -q ^default",
            nameServer,
        ]
    }

    /// Commands that add and remove entries in the guest's hosts file, with shell builtins only.
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
