# What make-disks and debian.sh make disks of: packages that are downloaded and not installed, file systems, partition tables, GRUB.
# The caller sets `out`, `work` (a scratch folder in it), `tools` (where packages are unpacked) and `cache` (where they are kept).

fail() { echo "make-disks: $*" >&2; exit "${code:-1}"; }
say() { echo "make-disks: $*" >&2; }

# TOOL PACKAGE
need() { command -v "$1" >/dev/null || code=2 fail "$1 is missing: run \`apt-get install $2\` as root"; }

# Prints the path of a package in the cache. One that is not there is downloaded.
package() {
    local name=$1 found
    found=$(find "$cache" -maxdepth 1 -name "${name}_*.deb" | sort -V | tail -n 1)
    if [[ -z $found ]]; then
        say "download $name"
        mkdir -p "$work/download"
        # Without a sandbox: as root, apt would complain that its own user cannot write here.
        (cd "$work/download" && apt-get -qq -o APT::Sandbox::User=root download "$name" >&2) ||
            fail "$name cannot be downloaded: run \`apt-get update\` as root, and see that /etc/apt names Debian's $suite"
        found=$cache/$(basename "$work/download/${name}"_*.deb)
        mv "$work/download/$(basename "$found")" "$found"
    fi
    echo "$found"
}
unpack() {
    local name file
    for name in "$@"; do
        file=$(package "$name")
        dpkg-deb -x "$file" "$tools"
    done
}

# TREE KERNEL-AND-OPTIONS INITRD: the boot menu, which does not appear.
grub_menu() {
    mkdir -p "$1/boot/grub"
    cat > "$1/boot/grub/grub.cfg" <<END
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=0
menuentry Debian {
    linux $2
    initrd $3
}
END
}

# TREE OUTPUT FREE: an ext4 file system of a tree, with FREE MiB to spare. GRUB cannot read two newer features of ext4.
ext4() {
    local used
    used=$(du -sm "$1" | cut -f 1)
    mke2fs -q -t ext4 -d "$1" -L "$label" -m 0 -O ^metadata_csum_seed,^orphan_file -E root_owner=0:0,lazy_itable_init=1 \
        "$2" "$((used * 11 / 10 + 6 + $3))M" >/dev/null
    # mke2fs takes the owners as they are in the tree, which a plain user cannot give to root.
    [[ $(id -u) == 0 && $(id -g) == 0 ]] && return
    (cd "$1" && find . -mindepth 1 -printf 'sif "/%P" uid 0\nsif "/%P" gid 0\n') | debugfs -w -f - "$2" >/dev/null 2>"$work/debugfs" ||
        fail "the owners in the file system cannot be set: $(cat "$work/debugfs")"
}

bytes() { local byte; for byte in "$@"; do printf "\\x$(printf %02x "$byte")"; done; }
le32() { bytes $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
put() { dd of="$1" bs="$2" seek="$3" conv=notrunc,sparse status=none; }

# DISK TYPE=FILE...: a disk whose primary partitions hold these file systems, one after the other from the first MiB on; the first is
# marked active. A partition's place is given by sectors alone, as everywhere since disks have outgrown cylinders.
partitioned() {
    local disk=$1 start=1 entry=446 active=128 part file size
    shift
    rm -f "$disk"
    truncate -s 1M "$disk"
    for part in "$@"; do
        file=${part#*=}
        size=$((($(stat -c %s "$file") + 1048575) >> 20))
        truncate -s $((start + size))M "$disk"
        put "$disk" 1M "$start" < "$file"
        { bytes $active 254 255 255 "${part%%=*}" 254 255 255 && le32 $((start * 2048)) && le32 $((size * 2048)); } |
            put "$disk" 1 "$entry"
        start=$((start + size)) entry=$((entry + 16)) active=0
    done
    bytes 85 170 | put "$disk" 1 510
}

# Makes a BIOS boot a disk: GRUB's first stage looks for the rest in the second sector, where it lies without a change.
install_grub() {
    local disk=$1 grub=$tools/usr/lib/grub/i386-pc core=$work/core.img
    LD_LIBRARY_PATH=$(dirname "$(find "$tools" -name 'libdevmapper.so*' | head -n 1)") "$tools/usr/bin/grub-mkimage" \
        -d "$grub" -O i386-pc -o "$core" -p '(hd0,msdos1)/boot/grub' biosdisk part_msdos ext2 linux serial terminal normal
    [[ $(stat -c %s "$core") -le $((2047 * 512)) ]] || fail "GRUB does not fit before the first partition"
    head -c 440 "$grub/boot.img" | put "$disk" 440 0
    put "$disk" 512 1 < "$core"
}

finish() {
    mv "$work/$1" "$out/$1"
    say "$out/$1: $(($(stat -c %s "$out/$1") >> 20)) MiB"
}
