#!/bin/bash
# The `wine` image: a Windows-like guest, Wine's cmd.exe on a serial port over Debian's cloud kernel.
#
# packages: linux-image-cloud-amd64 busybox-static wine64 libwine libz-mingw-w64 fonts-wine libc6 libc-bin libgcc-s1 libunwind8 liblzma5 libfreetype6 libpng16-16 zlib1g libbrotli1 libfontconfig1 libexpat1 binutils-mingw-w64-x86-64 libzstd1
# tools: mke2fs=e2fsprogs debugfs=e2fsprogs dumpe2fs=e2fsprogs awk=mawk qemu-img=qemu-utils cpio=cpio dpkg-deb=dpkg unshare=util-linux cc=gcc strip=binutils lz4=lz4 clang=clang ld.lld=lld
# version: 2
# disk: yes
# shutdown: vmlab-halt
# memory: 256MiB
# minimum-memory: 96MiB
# cmdline: console=ttyS0 vmlab.port=vmlab.com2 quiet nokaslr mitigations=off tsc=reliable no_timer_check cryptomgr.notests random.trust_cpu=on i8042.noaux i8042.nokbd lsm= audit=0 8250.nr_uarts=2 rcupdate.rcu_expedited=1 clearcpuid=smap
#
# Reads VMLAB_DEBS (the packages), VMLAB_FILES (this folder); works in VMLAB_WORK; leaves kernel, initrd and
# root.qcow2 in VMLAB_OUT. Needs no network, no root and no mounts outside its own namespaces. The same packages
# give the same bytes. `step:` lines on stdout are its progress.
set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC PATH=$PATH:/usr/sbin:/sbin

readonly epoch=1700000000
readonly tree=$VMLAB_WORK/tree root=$VMLAB_WORK/root initrd=$VMLAB_WORK/initrd
readonly lib=usr/lib/x86_64-linux-gnu disk=$VMLAB_WORK/root.ext4
# mke2fs makes up what is not given.
readonly uuid=766d6c61-6200-4000-8000-000077696e65

step() { echo "step: $*"; }
die() { echo "wine.sh: $*" >&2; exit 1; }

unpack() {
    local deb
    mkdir -p "$tree"
    for deb in "$VMLAB_DEBS"/*.deb; do dpkg-deb -x "$deb" "$tree" >&2; done
}

# The guest's root without the Windows part: the libraries of Wine's Unix side, busybox, the relay.
makeRoot() {
    mkdir -p "$root"/{bin,dev,etc,lib64,proc,root,run,sbin,sys,tmp,usr/share,wine} "$root/$lib" "$root/lib"
    cp -a "$tree/lib/x86_64-linux-gnu" "$root/lib/"
    rm -rf "$root"/lib/x86_64-linux-gnu/{libmemusage,libpcprofile,libthread_db,libc_malloc_debug}*
    cp -a "$tree/lib64/." "$root/lib64/"
    cp -a "$tree/usr/lib/wine" "$root/usr/lib/"
    find "$tree/$lib" -maxdepth 1 -name 'lib*.so*' -exec cp -a {} "$root/$lib/" ';'
    mkdir -p "$root/$lib/wine/x86_64-windows"
    cp -a "$tree/$lib/wine/x86_64-unix" "$root/$lib/wine/"
    cp -a "$tree/usr/share/wine" "$root/usr/share/"
    # Without a UTF-8 locale Wine finds no file whose name is not ASCII.
    cp -a "$tree/usr/lib/locale" "$root/usr/lib/"
    # UTF-8 in and out: in the guest's locale data, the code pages 1252 (ANSI) and 437 (OEM) of the western English
    # locales become 65001. Without a console chcp changes nothing, and this is where Wine takes them from.
    sed -i 's/\xe4\x04\xb5\x01\x10\x27/\xe9\xfd\xe9\xfd\x10\x27/g' "$root/usr/share/wine/nls/locale.nls"
    cp "$tree/bin/busybox" "$root/bin/"
    local applet
    for applet in $("$tree/bin/busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    ln -s ../usr/lib/wine/wine64 ../usr/lib/wine/wineserver64 "$root/bin/"
    # Drive C as the host's file copies know it.
    ln -s wine/drive_c "$root/c"
    cc -static -Os -Wall -Wextra -Werror -o "$root/sbin/relay" "$VMLAB_FILES/relay.c" >&2
    strip "$root/sbin/relay"
    local tool
    for tool in "$VMLAB_FILES/vmlab-identity.c" "$VMLAB_FILES/vmlab-files.c"; do
        cc -static -nostdlib -ffreestanding -fno-stack-protector -fno-pic -no-pie -fno-asynchronous-unwind-tables -Os \
            -Wall -Wl,--build-id=none,-z,noseparate-code -o "$root/sbin/$(basename "$tool" .c)" "$tool" >&2
        strip -R .comment -R .note.gnu.property "$root/sbin/$(basename "$tool" .c)"
    done
    install -m 755 "$VMLAB_FILES/wine-init.sh" "$root/sbin/init"
    install -m 755 "$VMLAB_FILES/vmlab-halt.sh" "$root/sbin/vmlab-halt"
    install -m 755 "$VMLAB_FILES/vmlab-kill.sh" "$root/sbin/vmlab-kill"
    install -m 755 "$VMLAB_FILES/vmlab-rename.sh" "$root/sbin/vmlab-rename"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
    # An empty configuration: fontconfig is only there for Wine's font code to link against.
    mkdir -p "$root/etc/fonts"
    echo '<?xml version="1.0"?><fontconfig><cachedir>/tmp</cachedir></fontconfig>' >"$root/etc/fonts/fonts.conf"
    cat >"$root/etc/vmlab.env" <<'EOF'
export USER=root LC_ALL=C.UTF-8 WINEPREFIX=/wine WINESERVER=/usr/lib/wine/wineserver64 WINEDEBUG=${WINEDEBUG:--all}
EOF
}

# Debug sections are four fifths of Wine's PE files. The file alignment must stay one page: Wine maps such files
# and reads the others into private memory.
stripWindows() {
    # The packages' own loader and libraries, so that the host's do not matter.
    cat >"$VMLAB_WORK/objcopy" <<EOF
#!/bin/sh
exec "$tree/lib64/ld-linux-x86-64.so.2" --library-path "$tree/lib/x86_64-linux-gnu:$tree/$lib" \
    "$tree/usr/bin/x86_64-w64-mingw32-objcopy" "\$@"
EOF
    chmod +x "$VMLAB_WORK/objcopy"
    # objcopy stamps the time into what it writes.
    export SOURCE_DATE_EPOCH=$epoch
    (cd "$tree/$lib/wine/x86_64-windows" && find . -type f -print0 |
        xargs -0 -P "$(nproc)" -I{} "$VMLAB_WORK/objcopy" --strip-unneeded --file-alignment=4096 {} \
            "$root/$lib/wine/x86_64-windows/{}") >&2
    unset SOURCE_DATE_EPOCH
    cp "$tree/usr/x86_64-w64-mingw32/lib/zlib1.dll" "$root/$lib/wine/x86_64-windows/"
}

# Wine's own set-up program makes the prefix, on this host, in namespaces of its own: as root of nothing, with its
# own process tree (what it leaves running dies with it) and no network.
makePrefix() {
    mkdir -p "$root/wine/drive_c/windows/system32"
    cp "$tree/usr/x86_64-w64-mingw32/lib/zlib1.dll" "$root/wine/drive_c/windows/system32/"
    printf '%s\n\n' 'WINE REGISTRY Version 2' '#arch=win64' '[Software\\Wine\\Drivers]' '"Graphics"="null"' \
        >"$root/wine/user.reg"
    cat >"$root/setup" <<'EOF'
set -e
mount -t proc proc /proc
mount -t sysfs sysfs /sys || :
mount -t tmpfs tmpfs /dev
for node in null zero urandom random; do : >/dev/$node; mount -o bind /outer/dev/$node /dev/$node; done
. /etc/vmlab.env
export PATH=/bin HOME=/root
wine64 wineboot -i
wineserver64 -k || :
wineserver64 -w
EOF
    mkdir "$root/outer"
    # The outer /dev is bound in before the chroot.
    timeout 300 unshare --user --map-root-user --pid --fork --mount --net --uts --ipc /bin/sh -euc '
        hostname wine
        mkdir -p "$1/outer/dev"
        mount --rbind /dev "$1/outer/dev"
        exec chroot "$1" /bin/sh /setup
    ' sh "$root" </dev/null >&2 || die "wineboot did not finish (user namespaces are needed: unshare --user)"
    rmdir "$root/outer/dev" "$root/outer"
    rm "$root/setup"
    [ -s "$root/wine/system.reg" ] || die "wineboot left no registry"
}

# What no console program needs: graphics, sound, browsers, codecs, desktop toys.
readonly prune='d3d* dxdiag* dx8* ddraw* glu32* vulkan* winevulkan* d2d1* dwrite* mshtml.*
    mshtml.tlb ieframe* iexplore* quartz* qcap* qedit* evr* mf.dll mfplat* mfreadwrite* mfmediaengine* mfplay* wmp*
    wmvcore* wmasf* wmadmod* wmvdecod* xactengine* xaudio* x3daudio* xapofx* xinput* dinput* dsound* dswave* dm*.dll
    devenum* winegstreamer* wineps* winex11* winealsa* winepulse* wineusb* winebus* winehid* winexinput* winebth*
    light.msstyles wordpad* winecfg* taskmgr* oleview* winemine* progman* winefile* notepad* clock* view.exe wmplayer*
    winhlp32* hh.exe explorerframe* windowscodecs* wmphoto* gphoto2* sane* capi* ctapi* opencl* odbc32* msado* joy.cpl mfsrcsnk* qasf* msdasql* icinfo* msdaps*
    mp3dmod* l3codec* *.acm *.ax msrle32* msvidc32* iccvid* ir50* icmui* gameux* hlink* inetcpl* itircl* itss* jscript9*
    mscoree* fusion* mciavi* mcicda* mciqtz* mciseq* mciwave* midimap* msacm32.drv winmm16* mmdevapi* avicap* avifil*
    msvfw32* photometadata* prntvpt* sti* twain* unidrv* uianimation* uiribbon* wiaservc* wmi* xpsprint* xpssvcs*
    speech* sapi* msttsengine* amstream* msdmo* dplay* dpn* dpv* dpw* directmanipulation* cabarc* winedbg*
    msvcp60* msvcp70* msvcp71* msvcp80* msvcp90* msvcr70* msvcr71* msvcr80* msvcr90* msvcrtd* msvcrt20* msvcrt40*
    presentationfontcache* ngen* servicemodelreg* regasm* regsvcs* aspnet* dplaysvr* dpnsvr* dpvsetup* winemenubuilder*'

# Programs of Wine's that print nothing, do nothing and end with status 0. Without them cmd.exe says their name, and that there is
# no such command, with status 1 or 9009: a task that needs one fails instead of passing.
readonly stubs='arp.exe cacls.exe certutil.exe dism.exe eject.exe extrac32.exe fc.exe findstr.exe icacls.exe lodctr.exe mofcomp.exe
    mshta.exe msinfo32.exe netsh.exe powershell.exe regini.exe robocopy.exe sdbinst.exe secedit.exe setx.exe shutdown.exe
    subst.exe systeminfo.exe tasklist.exe unlodctr.exe wevtutil.exe where.exe winmgmt.exe write.exe wusa.exe'

pruneWindows() {
    local system=$root/wine/drive_c/windows/system32 pattern
    rm -rf "$root"/wine/drive_c/windows/{syswow64,resources,Installer,inf} "$root/wine/drive_c/Program Files (x86)"
    (
        cd "$root/$lib/wine/x86_64-windows"
        set -f
        for pattern in $prune $stubs; do
            set +f
            rm -f -- $pattern
            (cd "$system" && rm -f -- $pattern)
            set -f
        done
    )
    rm -rf "$system/WindowsPowerShell" "$system/wbem/mofcomp.exe"
    rm -f "$root/$lib"/wine/x86_64-unix/{wine[xagpuv]*,opencl,gphoto2,sane,capi2032,ctapi32,odbc32,qcap,wpcap,avicap32,dwrite}*.so
    # One inode for a program's two names: one copy in the page cache.
    local file
    for file in "$system"/*; do
        ! cmp -s "$file" "$root/$lib/wine/x86_64-windows/${file##*/}" ||
            ln -f "$root/$lib/wine/x86_64-windows/${file##*/}" "$file"
    done
}

finishPrefix() {
    local prefix=$root/wine
    # Otherwise every boot updates the prefix.
    echo disable >"$prefix/.update-timestamp"
    rm -rf "$prefix/wineserver" "$prefix"/drive_c/users/*/Temp/* "$prefix"/drive_c/windows/temp/*
    find "$root/root" "$root/tmp" -mindepth 1 -delete
    mkdir -p "$prefix/drive_c/lab"
    # It needs nothing but ntdll: other libraries would cost a clone's rename ten times what it takes.
    clang --target=x86_64-w64-windows-gnu -ffreestanding -fno-stack-protector -mno-stack-arg-probe -Os -Wall \
        -c -o "$VMLAB_WORK/vmlab-rename.o" "$VMLAB_FILES/vmlab-rename.c" >&2
    ld.lld -m i386pep --subsystem windows -e start --no-insert-timestamp --file-alignment 4096 \
        -o "$prefix/drive_c/windows/system32/vmlab-rename.exe" "$VMLAB_WORK/vmlab-rename.o" \
        "$tree/$lib/wine/x86_64-windows/ntdll.dll" >&2
    # Every Windows program looks for the guest's time zone as it starts, in the order of their names, until one has
    # UTC's rules. That was the fifty-first, three hundred calls to Wine's server and a quarter of a program's start.
    {
        printf '\n%s 0\n' '[Software\\Microsoft\\Windows NT\\CurrentVersion\\Time Zones\\(UTC)]'
        printf '"%s"="Coordinated Universal Time"\n' Dlt Std
        printf '"Display"="(UTC) Coordinated Universal Time"\n"TZI"=hex:00%s\n' "$(printf ',00%.0s' {1..43})"
    } >>"$prefix/system.reg"
    # Services start when something asks for them, except the two that file names and network queries need.
    # Wine starts its USB and HID buses whatever their start type: their keys go. A crash ends its program:
    # the debugger does not exist. (Without Auto=1 Wine would ask in a window nobody sees.)
    sed -i -E \
        -e '/^\[System\\\\CurrentControlSet\\\\(Services\\\\|Enum\\\\ROOT\\\\)(wine|WINE)(bus|usb|\\\\).*\]/I,/^$/d' \
        -e '/^\[System\\\\CurrentControlSet\\\\Services\\\\(Eventlog|NDIS|PlugPlay|Winmgmt)\]/,/^$/ s/^"Start"=.*/"Start"=dword:00000003/' \
        -e '/^\[Software\\\\Microsoft\\\\Windows NT\\\\CurrentVersion\\\\AeDebug\]/,/^$/ s/^"Debugger"=.*/"Debugger"="none"/' \
        "$prefix/system.reg"
    # What differs from build to build: window metrics, by whichever process came first; identities; times.
    sed -i -E -e '/^\[(Control Panel\\\\(Colors|Desktop)|Software\\\\Wine\\\\(FileOpen|MenuFiles|Temporary)|.*\\\\ThemeManager)/,/^$/d' \
        "$prefix/user.reg"
    sed -i -E -e 's/^("(MachineGuid|VideoID)"="\{?)[0-9a-f-]{36}/\1564d4c41-4200-4000-8000-57696e650001/' \
        -e 's/^"DriverDateData"=.*/"DriverDateData"=hex:00,00,8b,fb,6b,16,da,01/' \
        -e 's/^@=hex\(ffff000[89]\):[0-9a-f]{2},03(,00){6}$/@=hex(ffff0008):ef,03,00,00,00,00,00,00/' "$prefix/system.reg"
    sed -i -E -e 's/^(\[.*\]) [0-9]+$/\1 '"$epoch"'/' -e 's/^#time=.*/#time=1da17b3f1b00000/' "$prefix"/*.reg
}

makeInitrd() {
    local modules source
    mkdir -p "$initrd"/{bin,dev,proc,sys,root,modules}
    cp "$tree/bin/busybox" "$initrd/bin/"
    install -m 755 "$VMLAB_FILES/wine-init.sh" "$initrd/init"
    source=$(echo "$tree"/lib/modules/*/kernel)
    [ -d "$source" ] || die "no kernel package, or more than one, in $VMLAB_DEBS"
    # In the order of their dependencies.
    for modules in failover net_failover virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_blk \
        virtio_net virtio-rng virtio_console virtio_pci virtio_mmio crc32c_generic crc16 mbcache jbd2 ext4; do
        find "$source" -name "$modules.ko" -exec cp {} "$initrd/modules/" ';'
        [ ! -e "$initrd/modules/$modules.ko" ] || echo "$modules" >>"$initrd/modules/order"
    done
    find "$initrd" -exec touch -h -d "@$epoch" {} +
    (cd "$initrd" && find . | sort | cpio -o -H newc -R 0:0 --reproducible --quiet) >"$VMLAB_OUT/initrd"
}

# The kernel as the ELF file inside Debian's bzImage: the guest then has nothing to decompress.
makeKernel() {
    local image payload setup offset length
    image=$(echo "$tree"/boot/vmlinuz-*)
    field() { od -An -t "u$2" -j "$1" -N "$2" "$image" | tr -d ' '; }
    setup=$(field 497 1) offset=$(field 584 4) length=$(field 588 4)
    payload=$(((setup + 1) * 512 + offset))
    # The last four bytes are the size, not LZ4.
    tail -c "+$((payload + 1))" "$image" | head -c "$((length - 4))" >"$VMLAB_WORK/vmlinux.lz4" || :
    lz4 -d -q -f "$VMLAB_WORK/vmlinux.lz4" "$VMLAB_OUT/kernel" >&2 || die "no LZ4 kernel in $image"
    [ "$(head -c 4 "$VMLAB_OUT/kernel" | tail -c 3)" = ELF ] || die "no ELF kernel in $image"
}

# ext4: an emulated guest has nothing to decompress, and what it writes goes to a disk instead of memory. All is root's, and no
# older or newer than the rest. The inode tables are left to be zeroed by the guest, which wine-init.sh forbids.
makeDisk() {
    local inode inodes
    find "$root" -exec touch -h -d "@$epoch" {} +
    truncate -s 8G "$disk"
    E2FSPROGS_FAKE_TIME=$epoch unshare --user --map-root-user mke2fs -q -t ext4 -d "$root" -L root -U "$uuid" -m 0 \
        -E "hash_seed=$uuid,root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1" "$disk" >&2
    # Of each file mke2fs takes when it was made and read.
    inodes=$(dumpe2fs -h "$disk" 2>/dev/null | awk '/^Inode count/ { all = $3 } /^Free inodes/ { print all - $3 }')
    # 11 is the first that is not the file system's own.
    for ((inode = 11; inode <= inodes; inode++)); do
        echo "sif <$inode> ctime @$epoch"
        echo "sif <$inode> atime @$epoch"
    done >"$VMLAB_WORK/debugfs"
    # It ends well whatever happens; what it says, but for the commands, is errors.
    E2FSPROGS_FAKE_TIME=$epoch debugfs -w -f "$VMLAB_WORK/debugfs" "$disk" >"$VMLAB_WORK/debugfs.log" 2>&1
    ! grep -v '^debugfs' "$VMLAB_WORK/debugfs.log" >&2 || die "debugfs could not set the files' times"
    qemu-img convert -f raw -O qcow2 "$disk" "$VMLAB_OUT/root.qcow2"
}

step "unpacking packages"
unpack
step "making the root"
makeRoot
step "stripping Wine's programs"
stripWindows
step "setting up Wine's prefix"
makePrefix
pruneWindows
finishPrefix
step "packing"
mkdir -p "$VMLAB_OUT"
makeInitrd
makeKernel
makeDisk
