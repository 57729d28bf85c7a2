#!/bin/busybox sh
# What `udhcpc -i eth0` does with a lease in the `debian` image: address, route and name servers.
case $1 in
    deconfig)
        ip addr flush dev "$interface"
        ip link set "$interface" up
        ;;
    bound | renew)
        ifconfig "$interface" "$ip" netmask "${subnet:-255.255.255.0}" up
        for gateway in $router; do
            route add default gw "$gateway" dev "$interface"
        done
        for server in $dns; do
            echo "nameserver $server"
        done > /etc/resolv.conf
        ;;
esac
