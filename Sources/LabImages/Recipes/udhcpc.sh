#!/usr/lib/vmlab/busybox sh
# What `busybox udhcpc -i eth0` does with a lease: address, route and name servers.
case $1 in
    deconfig)
        ip addr flush dev "$interface"
        ip link set "$interface" up
        ;;
    bound | renew)
        ip addr flush dev "$interface"
        ip addr add "$ip/${mask:-24}" dev "$interface"
        for gateway in $router; do
            ip route add default via "$gateway" dev "$interface"
        done
        for server in $dns; do
            echo "nameserver $server"
        done > /etc/resolv.conf
        ;;
esac
