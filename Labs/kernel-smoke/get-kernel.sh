#!/bin/bash
# Fetches Debian's generic kernel as the kernel under test: bzImage beside this script. Needs no root.
set -euo pipefail
cd "$(dirname "$0")"
[[ ! -e bzImage ]] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
package=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
(cd "$work" && apt-get download -q "$package" && dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x --wildcards './boot/vmlinuz-*')
mv "$work"/boot/vmlinuz-* bzImage
