#!/bin/bash
# The root file system of a whole Debian, as a disk for any of Debian's kernels: half of the `debian` image (debian-kernel.sh
# makes the other). apt has chosen and fetched the packages; here dpkg installs them, as any user.
#
# packages: usr-is-merged adduser busybox-static ca-certificates e2fsprogs iproute2 iputils-ping kmod mount netbase procps
# systemd-packages: systemd-sysv udev dbus
# tools: dpkg-deb=dpkg tar=tar chroot=coreutils mount=util-linux mke2fs=e2fsprogs debugfs=e2fsprogs dumpe2fs=e2fsprogs awk=mawk qemu-img=qemu-utils cc=gcc strip=binutils
# cmdline: console=ttyS0 loglevel=5 cryptomgr.notests noreplace-smp mitigations=off audit=0 net.ifnames=0 vmlab.port=vmlab.com2 vmlab.keys=hvc0
# systemd-cmdline: vmlab.init=systemd
# memory: 256MiB
# minimum-memory: 96MiB
#
# The packages are those beyond `?essential apt`: what people expect of any Debian, and little more, because each costs time to
# configure. usr-is-merged saves the essential set perl and 60 MB (Debian 11 has no such package and needs none); busybox-static is
# the agent's, which must work whatever happens to the rest.
#
# The driver sets
#   VMLAB_DEBS       a folder with exactly the .deb files to install, as links to files in one other folder
#   VMLAB_ESSENTIAL  a file with the names of those that are essential or that these depend on, one a line
#   VMLAB_APT        a tree that is laid over the root: etc/apt/sources.list.d/*, and keyrings where those name them
#   VMLAB_INIT       `small` (debian-root-init.sh) or `systemd`
#   VMLAB_SIZE       the disk's size in bytes
#   SOURCE_DATE_EPOCH  the time of what is made here; what comes from packages keeps its own
#   VMLAB_FILES, VMLAB_WORK, VMLAB_OUT  this folder, an empty scratch folder, and where `root.qcow2` goes
# A package that cannot be configured here, because it wants a running system or real users, is named in VMLAB_OUT/unconfigured:
# `DEBIAN_FRONTEND=noninteractive dpkg --configure -a` in a guest completes it. The same packages give the same bytes.
set -euo pipefail
export LC_ALL=C.UTF-8 TZ=UTC PATH=$PATH:/usr/sbin:/sbin
umask 022

export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}
readonly epoch=$SOURCE_DATE_EPOCH
readonly root=$VMLAB_WORK/root log=$VMLAB_WORK/dpkg.log disk=$VMLAB_WORK/root.ext4
readonly owners=$VMLAB_WORK/owners refused=$VMLAB_WORK/refused
# mke2fs makes up what is not given.
readonly uuid=766d6c61-6200-4000-8000-64656269616e

step() { echo "step: $*"; }
fail() { echo "debian-root.sh: $*" >&2; exit 1; }

# --- In namespaces where we are root (vmlab-root.c): the tree and the file system.

inside() {
    extract
    enter
    install
    account
    leave
    support
    [ "$VMLAB_INIT" != systemd ] || units
    clean
    pack
}

# The essential packages as archives: dpkg's own programs, and all that maintainers' scripts may use before they are configured.
extract() {
    step "extracting the essential packages"
    local folder file
    mkdir -p "$root"/usr/{bin,sbin,lib,lib64}
    for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
    while read -r file; do
        # By number: a name would be looked up among the host's users.
        dpkg-deb --fsys-tarfile "$VMLAB_DEBS/$file" |
            tar -C "$root" -xpf - --numeric-owner --keep-directory-symlink --exclude='./usr/share/doc/*/*' \
                --exclude='./usr/share/man/*/*' --exclude='./usr/share/locale/*/*' --exclude='./usr/share/info/*'
    done < "$VMLAB_ESSENTIAL"
    cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
    cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
    mkdir -p "$root"/var/lib/dpkg/info "$root/etc/dpkg/dpkg.cfg.d"
    touch "$root"/var/lib/dpkg/{status,available}
    # Half of a small Debian is documentation and translations. Who wants them removes this file and reinstalls.
    cat > "$root/etc/dpkg/dpkg.cfg.d/vmlab" <<'END'
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-include=/usr/share/locale/locale.alias
END
}

readonly devices='null zero full random urandom tty'

# The packages' files in the cache, a folder that the tree can see.
mapfile -t debs < <(readlink -f "$VMLAB_DEBS"/*.deb)
readonly debs

# What programs need of a running system; no service is started in it.
enter() {
    local device
    mkdir -p "$root"/{dev,proc,tmp/debs}
    for device in $devices; do
        : > "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    ln -s /proc/self/fd "$root/dev/fd"
    # Some containers hide parts of /proc and allow no new one.
    mount -t proc proc "$root/proc" 2> /dev/null || mount --rbind /proc "$root/proc"
    mount --bind "$(dirname "${debs[0]}")" "$root/tmp/debs"
    printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
}

leave() {
    local device
    umount -R "$root/tmp/debs" "$root/proc"
    rmdir "$root/tmp/debs"
    for device in $devices; do
        umount "$root/dev/$device"
        rm "$root/dev/$device"
    done
    rm "$root/dev/fd" "$root/usr/sbin/policy-rc.d"
}

# Without SOURCE_DATE_EPOCH: Python's compiled modules would be checked against their sources at every start.
run() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TZ=UTC DEBIAN_FRONTEND=noninteractive \
        DEBCONF_NONINTERACTIVE_SEEN=true PYTHONHASHSEED=0 chroot "$root" "$@" < /dev/null
}

# dpkg, once for all packages: its messages go to the log, and what it is at to the driver.
dpkg() {
    local line words count=0
    run dpkg --force-unsafe-io --abort-after=100000 "$@" 2>&1 | while IFS= read -r line; do
        echo "$line" >> "$log"
        read -ra words <<< "$line"
        case $line in
            'Unpacking '*) step "unpacking ${words[1]}, $((count += 1)) of ${#debs[@]}" ;;
            'Setting up '*) step "configuring ${words[2]}, $((count += 1)) of ${#debs[@]}" ;;
        esac
    done
}

# `unpack DEB...`; --force-depends, because what a package wants first is here, if only extracted.
unpack() { dpkg --force-depends --unpack "${@/#*\//tmp/debs/}"; }

# The packages in a state that fits a pattern, one a line.
packages() { run dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n "s/^$1 //p"; }

# The packages' files that are not unpacked.
missing() {
    local deb
    packages '\(installed\|unpacked\|half-configured\|triggers-[a-z]*\)' > "$VMLAB_WORK/unpacked"
    for deb in "${debs[@]}"; do
        deb=${deb##*/}
        grep -qxF "${deb%%_*}" "$VMLAB_WORK/unpacked" || echo "$deb"
    done
}

install() {
    local again
    step "unpacking ${#debs[@]} packages"
    unpack "${debs[@]}" || true
    dpkg --force-depends --configure base-passwd base-files || true
    dpkg --configure -a || true
    # Some need others configured before they can be unpacked at all.
    mapfile -t again < <(missing)
    if [ ${#again[@]} != 0 ]; then
        unpack "${again[@]}" && dpkg --configure -a || true
    fi
}

# What of it failed: the base must work, the rest can be completed in a guest.
account() {
    local file name incomplete='\(unpacked\|half-configured\|triggers-[a-z]*\)'
    packages "$incomplete" > "$VMLAB_WORK/failed"
    missing > "$VMLAB_WORK/missing"
    while read -r file; do
        ! grep -qxF "${file%%_*}" "$VMLAB_WORK/failed" || echo "$file"
    done < "$VMLAB_ESSENTIAL" >> "$VMLAB_WORK/missing"
    if [ -s "$VMLAB_WORK/missing" ]; then
        tail -n 30 "$log" >&2
        fail "dpkg could not install $(tr '\n' ' ' < "$VMLAB_WORK/missing")"
    fi
    # Scripts that were refused another user, and said that all is well, have to run again.
    sort -u "$refused" | while read -r name; do
        sed -i "/^Package: $name\$/,/^\$/ s/^Status: install ok installed/Status: install ok unpacked/" "$root/var/lib/dpkg/status"
    done
    packages "$incomplete" | sort > "$VMLAB_OUT/unconfigured"
    [ -s "$VMLAB_OUT/unconfigured" ] || rm "$VMLAB_OUT/unconfigured"
}

# vmlab's agent and what a person expects of a new system.
support() {
    step "adding vmlab's agent"
    local word
    # A second name for the same file: it stays when the package goes or is replaced.
    mkdir -p "$root/usr/lib/vmlab" "$root/etc/udhcpc" "$root/etc/apt"
    ln "$root/bin/busybox" "$root/usr/lib/vmlab/busybox"
    command install -m 755 "$VMLAB_FILES/session.sh" "$root/usr/lib/vmlab/session"
    command install -m 755 "$VMLAB_FILES/udhcpc.sh" "$root/etc/udhcpc/default.script"
    command install -m 755 "$VMLAB_WORK"/tools/vmlab-{identity,files} "$root/usr/sbin"
    command install -m 755 "$VMLAB_WORK/tools/vmlab-grow" "$root/usr/lib/vmlab/grow"
    # By which the initial file system knows a larger disk.
    echo $((VMLAB_SIZE / 512)) > "$root/usr/lib/vmlab/sectors"
    if [ "$VMLAB_INIT" = small ]; then
        command install -m 755 "$VMLAB_FILES/debian-root-init.sh" "$root/usr/lib/vmlab/init"
        for word in poweroff reboot halt; do
            [ -e "$root/usr/sbin/$word" ] || ln -s ../lib/vmlab/busybox "$root/usr/sbin/$word"
        done
    fi

    run useradd --uid 1000 --create-home --user-group --shell /bin/bash user
    # The day of a password's change.
    sed -i -E "s/^([^:]*:[^:]*):[0-9]*:/\1:$((epoch / 86400)):/" "$root/etc/shadow"
    echo debian > "$root/etc/hostname"
    printf '%s\n' '127.0.0.1 localhost' '127.0.1.1 debian' '::1 localhost ip6-localhost ip6-loopback' > "$root/etc/hosts"
    # The name server of QEMU's user network.
    echo 'nameserver 10.0.2.3' > "$root/etc/resolv.conf"
    echo 'LANG=C.UTF-8' > "$root/etc/default/locale"
    : > "$root/etc/fstab"
    # Keyrings of the guest's own packages fit its release better than the host's.
    cp -rn "$VMLAB_APT/." "$root/"
    rm -f "$root/etc/apt/sources.list"
    # Lists are not here: they are 19 MB and old by tomorrow. `apt update` takes an emulated guest half a minute or more, mostly to
    # read them; the translated descriptions would double it.
    echo 'Acquire::Languages "none";' > "$root/etc/apt/apt.conf.d/vmlab"
}

# systemd as Debian has it, with a journal, udev, timers and services, but for what a guest of vmlab's has no use for and an
# emulated processor pays for at each boot: a third of Debian's own time is left. `systemctl unmask UNIT` brings a unit back.
units() {
    local name system=$root/etc/systemd/system
    command install -m 755 "$VMLAB_FILES/vmlab-agent.sh" "$root/usr/lib/vmlab/agent"
    command install -m 644 "$VMLAB_FILES/vmlab-agent.service" "$system/vmlab-agent.service"
    command install -m 644 "$VMLAB_FILES/vmlab-booted.service" "$system/vmlab-booted.service"
    mkdir -p "$system"/{{basic,multi-user}.target.wants,systemd-udev-trigger.service.d} "$root/etc/systemd/system-generators"
    ln -s ../vmlab-agent.service "$system/basic.target.wants/"
    ln -s ../vmlab-booted.service "$system/multi-user.target.wants/"
    # Without a display manager to wait for.
    ln -sf /lib/systemd/system/multi-user.target "$system/default.target"
    # Its socket starts it when somebody wants it.
    ln -sf /dev/null "$system/multi-user.target.wants/dbus.service"
    # Of the devices that were there before udev, it is told of those that services wait for.
    printf '[Service]\nExecStart=\nExecStart=-udevadm trigger --type=devices --action=add%s\n' \
        ' --subsystem-match=block --subsystem-match=net --subsystem-match=virtio-ports' \
        > "$system/systemd-udev-trigger.service.d/vmlab.conf"
    # It loads nothing, but would have it looked at; who adds a file there has it back.
    rm -f "$root/etc/modules-load.d/modules.conf"
    for name in $masked; do ln -sf /dev/null "$system/$name"; done
    for name in $maskedGenerators; do ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-$name-generator"; done
}

# - A getty on hvc0 would take the agent's bytes, and on the others nobody can log in, as there are no passwords; nor are there
#   sessions for logind, or logins to count.
# - Timers would run in each clone as soon as its clock is set: apt's, dpkg's, for disks and temporary files.
# - Each module asked for in advance costs a process; whoever needs one loads it by its name. The same with device nodes for
#   drivers that are not there, and file systems for debugging, queues, huge pages and foreign binaries.
# - /tmp is on the disk, as in Debian 12: memory is what a guest is short of. /run/lock is a folder of a tmpfs anyway.
# - The root is mounted as it should be, users are made by packages, and random numbers come from the host.
readonly masked='getty.target serial-getty@hvc0.service systemd-logind.service systemd-ask-password-console.path
    systemd-ask-password-wall.path systemd-update-utmp.service systemd-update-utmp-runlevel.service
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service
    systemd-tmpfiles-clean.timer
    modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service
    modprobe@loop.service kmod-static-nodes.service systemd-tmpfiles-setup-dev.service systemd-tmpfiles-setup-dev-early.service
    sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount dev-hugepages.mount
    dev-mqueue.mount proc-sys-fs-binfmt_misc.automount tmp.mount run-lock.mount
    systemd-remount-fs.service systemd-sysusers.service systemd-random-seed.service systemd-pstore.service
    systemd-udev-load-credentials.service'
# Programs that look at each boot for encrypted disks, partitions, terminals, updates and hardware that are not there.
readonly maskedGenerators='bless-boot cryptsetup debug getty gpt-auto hibernate-resume integritysetup ssh system-update tpm2
    veritysetup'

# What a build leaves behind, and what differs from build to build.
clean() {
    rm -rf "$root"/var/lib/dpkg/*-old "$root"/var/cache/debconf/*-old "$root"/etc/{passwd,group,shadow,gshadow,subuid,subgid}- \
        "$root/var/cache/ldconfig/aux-cache" "$root"/var/log/{*.log,apt/*} "$root"/tmp/* "$root"/var/tmp/* "$root"/run/* \
        "$root"/var/lib/systemd/{random-seed,catalog/database} "$root/var/lib/dbus/machine-id"
    # Empty: whoever needs a machine id makes one.
    : > "$root/etc/machine-id"
    find "$root" -newer "$VMLAB_WORK/began" -exec touch -h -d "@$epoch" {} +
    # Otherwise systemd takes the first boot for one after an update of /usr, and has ldconfig and others look through it.
    : > "$root/etc/.updated"
    : > "$root/var/.updated"
    touch -r "$root/usr" "$root"/{etc,var}/.updated
    touch -h -d "@$epoch" "$root"/{etc,var}
}

# ext4: made fastest, and what guests write goes to a disk instead of memory. The inode tables are left to be zeroed by the guest,
# which debian-initrd.sh forbids: their groups know that they are empty.
pack() {
    step "making the file system"
    truncate -s "$VMLAB_SIZE" "$disk"
    E2FSPROGS_FAKE_TIME=$epoch mke2fs -q -t ext4 -d "$root" -L root -U "$uuid" -m 0 \
        -E "hash_seed=$uuid,root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1" "$disk" >&2
}

# --- Outside.

# Small static programs, which start fast in emulation and need nothing of the guest's.
tools() {
    local tool
    mkdir -p "$VMLAB_WORK/tools"
    for tool in "$VMLAB_FILES"/{vmlab-identity.c,vmlab-files.c,vmlab-grow.c}; do
        cc -static -nostdlib -ffreestanding -fno-stack-protector -fno-pic -no-pie -fno-asynchronous-unwind-tables -Os -Wall \
            -Wl,--build-id=none,-z,noseparate-code -o "$VMLAB_WORK/tools/$(basename "$tool" .c)" "$tool" >&2
        strip -R .comment -R .note.gnu.property "$VMLAB_WORK/tools/$(basename "$tool" .c)"
    done
    cc -O1 -Wall -o "$VMLAB_WORK/tools/vmlab-root" "$VMLAB_FILES/vmlab-root.c" >&2
}

# What mke2fs takes from the tree and should not: all files are root's there, and they were read and changed now.
settle() {
    local user group path inode inodes
    inodes=$(dumpe2fs -h "$disk" 2> /dev/null | awk '/^Inode count/ { all = $3 } /^Free inodes/ { print all - $3 }')
    {
        while read -r user group path; do
            # A quote would end the path; no package has one.
            [[ $path != *\"* ]] || fail "a file has a quote in its name: $path"
            echo "sif \"$path\" uid $user"
            echo "sif \"$path\" gid $group"
        done < "$owners"
        # 11 is the first that is not the file system's own.
        for ((inode = 11; inode <= inodes; inode++)); do
            echo "sif <$inode> ctime @$epoch"
            echo "sif <$inode> atime @$epoch"
        done
    } > "$VMLAB_WORK/debugfs"
    # It ends well whatever happens; what it says, but for the commands, is errors.
    E2FSPROGS_FAKE_TIME=$epoch debugfs -w -f "$VMLAB_WORK/debugfs" "$disk" > "$VMLAB_WORK/debugfs.log" 2>&1
    ! grep -v '^debugfs' "$VMLAB_WORK/debugfs.log" >&2 || fail "debugfs could not set the files' owners and times"
}

if [ "${1:-}" = inside ]; then
    inside
    exit
fi
: > "$VMLAB_WORK/began"
tools
mkdir "$root"
"$VMLAB_WORK/tools/vmlab-root" "$root" "$owners" "$refused" bash "$0" inside
settle
step "writing the disk"
qemu-img convert -f raw -O qcow2 "$disk" "$VMLAB_OUT/root.qcow2"
rm -rf "$root" "$disk"
step "done: ${#debs[@]} packages"
