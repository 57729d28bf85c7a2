# Installs vmlab's agent in a Linux that knows nothing of it, as root; agent.sh has made what it installs, on a disk of its own.
# Prints what it learns of the guest: lines `vmlab-learned: KEY VALUE`. A guest that cannot keep an agent is no failure.
facts=
# Together, at the end: only the end of what is printed counts.
trap 'echo "$facts"' EXIT
learned() { facts="$facts
vmlab-learned: $*"; }
cannot() {
    learned obstacle "$*"
    leave
    exit 0
}
# The way in that vmlab brought is closed again.
leave() {
    if grep -q '^vmlab:' /etc/passwd; then
        grep -v '^vmlab:' /etc/passwd > /etc/passwd.vmlab
        cat /etc/passwd.vmlab > /etc/passwd
        rm /etc/passwd.vmlab
    fi
    sync
}
PATH=$PATH:/usr/sbin:/sbin

[ -d /proc/self ] || mount -t proc proc /proc
[ -d /sys/block ] || mount -t sysfs sysfs /sys
system=
[ ! -r /etc/os-release ] || system=$(. /etc/os-release; echo "$PRETTY_NAME")
learned system "${system:-Linux}"
learned kernel "$(uname -r)"
for tool in bash python3 gcc apt-get dnf yum zypper apk pacman ip ifconfig tar base64 sudo; do
    command -v $tool > /dev/null && learned tool $tool
done
[ "$(uname -m)" = x86_64 ] || cannot "its programs are for $(uname -m), and the agent is for x86_64"

# The last one that is mounted there is the one that is seen.
while read -r _ place type flags _; do
    [ "$place" != / ] || { kind=$type options=$flags; }
done < /proc/mounts
case $kind in
    rootfs | ramfs | tmpfs | overlay | squashfs | erofs | iso9660)
        cannot "its root file system ($kind) forgets what is written to it" ;;
esac
case ",$options," in
    *,ro,*) mount -o remount,rw / 2> /dev/null || cannot "its root file system is read-only" ;;
esac
if [ -d /run/systemd/system ]; then
    start=systemd
elif [ -f /etc/inittab ]; then
    start=inittab
else
    cannot "its init is neither systemd nor one that reads /etc/inittab"
fi
learned init $start
[ -d /sys/bus/virtio/drivers/virtio_console ] || modprobe virtio_console 2> /dev/null
if [ -d /sys/bus/virtio/drivers/virtio_console ]; then
    learned channel virtio
elif [ -e /sys/class/tty/ttyS1 ]; then
    learned channel serial
else
    cannot "its kernel drives neither a second serial port nor virtio_console"
fi

# cloud-init has to do its own work first, once; without vmlab's seed it would begin anew at each boot.
if [ "$VMLAB_SEED" ] && command -v cloud-init > /dev/null; then
    cloud-init status --wait > /dev/null 2>&1
    state=$(cloud-init status --long 2>&1)
    case $state in
        *'status: error'*)
            # What it does by itself may fail in its own way; what the lab asks for may not.
            [ "$VMLAB_SEED" != wanted ] || { echo "$state"; echo 'cloud-init failed'; exit 1; }
            ;;
    esac
    touch /etc/cloud/cloud-init.disabled
elif [ "$VMLAB_SEED" = wanted ]; then
    echo 'the guest has no cloud-init'
    exit 1
fi

for file in /sys/block/*/serial; do
    [ -r "$file" ] || continue
    # It has no line end, which `read` takes for a failure.
    read -r serial < "$file"
    [ "$serial" = vmlab-agent ] || continue
    device=${file#/sys/block/}
    device=/dev/${device%/serial}
done
[ "$device" ] || cannot "its kernel has no driver for virtio disks"
home=/usr/lib/vmlab
set -e
mkdir -p $home
read -r _ program archive < "$device"
dd if="$device" of=$home/busybox bs=512 skip=1 count="$program" 2> /dev/null
chmod 755 $home/busybox
dd if="$device" bs=512 skip=$((program + 1)) count="$archive" 2> /dev/null | $home/busybox tar -xf - -C /
case $start in
    systemd)
        units=/etc/systemd/system
        mv $home/vmlab-agent.service $home/vmlab-booted.service $units/
        mkdir -p $units/basic.target.wants $units/multi-user.target.wants
        ln -sf ../vmlab-agent.service $units/basic.target.wants/
        ln -sf ../vmlab-booted.service $units/multi-user.target.wants/
        # A login on the channel's terminal would take the agent's bytes.
        [ -e $units/serial-getty@hvc0.service ] || ln -s /dev/null $units/serial-getty@hvc0.service
        ;;
    inittab)
        rm $home/vmlab-agent.service $home/vmlab-booted.service
        # busybox's init has a terminal where System V's has a name and run levels.
        line=::respawn:$home/agent
        ! grep -q :initdefault: /etc/inittab || line=vm:2345:respawn:$home/agent
        grep -q $home/agent /etc/inittab || echo "$line" >> /etc/inittab
        ;;
esac
leave
learned agent installed
