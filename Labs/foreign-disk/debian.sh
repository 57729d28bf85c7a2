# Disks of Debian with systemd, for make-disks: mmdebstrap makes the tree as it would for anybody.

# NAME: debian, with the user bob, or cloud, with cloud-init and nobody.
make_debian() {
    local kept=$cache/debian packages=systemd-sysv,dbus,udev,linux-image-cloud-amd64,initramfs-tools,sudo,iproute2,openssh-server
    [[ $1 != cloud ]] || packages+=,cloud-init
    mkdir -p "$kept" "$work/debian"
    # In a user namespace mmdebstrap's root is another user than the one whose folders these are.
    chmod 755 "$work"
    chmod 777 "$work/debian"
    export kept work name=$1 label here
    # Packages that are kept are not downloaded again.
    mmdebstrap --quiet --variant=minbase --include=$packages --format=null --skip=download/empty,essential/unlink,cleanup/apt/cache \
        --setup-hook='mkdir -p "$1/var/cache/apt/archives"; cp -n "$kept"/*.deb "$1/var/cache/apt/archives/" 2>/dev/null || true' \
        --customize-hook='bash -euc ". \"$here/parts.sh\"; . \"$here/debian.sh\"; inside_debian \"\$1\"" bash "$1"' "$suite" - >/dev/null ||
        fail "mmdebstrap made no system: see its messages above; as a plain user it needs the package uidmap"
    cp -n "$work/debian/packages"/*.deb "$kept/"
    partitioned "$work/debian.raw" 0x83="$work/debian/ext4"
    install_grub "$work/debian.raw"
    qemu-img convert -f raw -O qcow2 "$work/debian.raw" "$work/$1.qcow2"
    rm -rf "$work/debian" "$work/debian.raw"
}

# TREE: what an installer does, and the file system. Runs where the owners of the tree's files are what they will be in the guest.
inside_debian() {
    local tree=$1 release
    release=$(basename "$(ls -d "$tree"/lib/modules/*)")
    mkdir -p "$work/debian/packages" "$work/debian/tree"
    mv "$tree"/var/cache/apt/archives/*.deb "$work/debian/packages/"
    chmod -R a+rX "$work/debian/packages"
    printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n' "$name" > "$tree/etc/hosts"
    echo "$name" > "$tree/etc/hostname"
    echo "LABEL=$label / ext4 errors=remount-ro 0 1" > "$tree/etc/fstab"
    chroot "$tree" systemd-machine-id-setup >/dev/null 2>&1
    chroot "$tree" passwd --quiet -l root
    if [[ $name = debian ]]; then
        chroot "$tree" useradd -m -s /bin/bash -G sudo bob
        echo bob:secret | chroot "$tree" chpasswd
    fi
    grub_menu "$tree" "/boot/vmlinuz-$release root=LABEL=$label ro console=ttyS0,115200 quiet" "/boot/initrd.img-$release"
    # Without what is mounted in it.
    mount --bind "$tree" "$work/debian/tree"
    ext4 "$work/debian/tree" "$work/debian/ext4" 300
    umount "$work/debian/tree"
    chmod a+r "$work/debian/ext4"
}
