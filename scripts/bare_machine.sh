#!/usr/bin/env bash
# bare_machine.sh SUITE FOLDER TARGET...: the make targets in a clone of this repository's HEAD,
# in a Debian SUITE (bookworm, trixie) that holds only git and make. FOLDER: of the chroot, made by
# debootstrap when it is not there, kept afterwards. Needs root, and a folder on a disk with 8 GB.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
suite=$1 root=$2
shift 2
repo=$(git -C "$(dirname "$(readlink -f "$0")")" rev-parse --show-toplevel)

if [ ! -e "$root/usr/bin/make" ]; then
  debootstrap --variant=minbase --include=git,make,ca-certificates "$suite" "$root" >&2
fi
for certificate in /usr/local/share/ca-certificates/*.crt; do  # of a proxy, where there is one
  if [ -e "$certificate" ]; then cp "$certificate" "$root/usr/local/share/ca-certificates/"; fi
done
cp /etc/resolv.conf "$root/etc/"
chroot "$root" update-ca-certificates >/dev/null
rm -rf "$root/root/cachectl"
git clone -q "$repo" "$root/root/cachectl"

trap 'umount "$root/dev/shm" "$root/proc"' EXIT
mount -t proc proc "$root/proc"
mount -t tmpfs -o size=512m shm "$root/dev/shm"
for target in "$@"; do
  begin=$SECONDS
  env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
    chroot "$root" make -C /root/cachectl "$target"
  echo "bare_machine: make $target on $suite: $((SECONDS - begin)) s"
done
