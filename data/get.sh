#!/usr/bin/env bash
# Gets the CIFAR data sets in their binary version and checks them.
#
#   data/get.sh cifar10|cifar100 [FOLDER] [ARCHIVE]
#
# FOLDER: where the set goes (default: data/cifar10 or data/cifar100, which git ignores).
# ARCHIVE: an archive that was fetched otherwise, on a machine without network.
# Does nothing where the set already lies whole.
set -euo pipefail

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0"; }
die() { echo "get.sh: $1" >&2; exit "${2:-1}"; }

case "${1:-}" in
  cifar10)
    archive_name=cifar-10-binary.tar.gz
    # As published and as found by several independent projects.
    sha256=c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd
    inner=cifar-10-batches-bin
    record=3073
    files="data_batch_1.bin:10000 data_batch_2.bin:10000 data_batch_3.bin:10000
           data_batch_4.bin:10000 data_batch_5.bin:10000 test_batch.bin:10000"
    ;;
  cifar100)
    archive_name=cifar-100-binary.tar.gz
    sha256=58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec
    inner=cifar-100-binary
    record=3074
    files="train.bin:50000 test.bin:10000"
    ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
set_name=$1
folder=${2:-$(cd "$(dirname "$0")" && pwd)/$set_name}
archive=${3:-}

# Every file there and of its size; says which is not.
whole() {
  local file name records size
  for file in $files; do
    name=${file%:*} records=${file#*:}
    size=$(stat -c %s "$folder/$inner/$name" 2>/dev/null || echo missing)
    [ "$size" = $((records * record)) ] || { echo "$folder/$inner/$name: $size"; return 1; }
  done
}

if whole >/dev/null; then
  echo "$folder: $set_name is there"
  exit 0
fi
mkdir -p "$folder"
scratch=$(mktemp -d "$folder/.get-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
if [ -z "$archive" ]; then
  archive=$scratch/$archive_name
  url=https://www.cs.toronto.edu/~kriz/$archive_name
  if command -v curl >/dev/null; then
    curl -fL --retry 3 -o "$archive" "$url" || die "$url: cannot be fetched" 3
  elif command -v wget >/dev/null; then
    wget -O "$archive" "$url" || die "$url: cannot be fetched" 3
  else
    die "neither curl nor wget here: fetch $url by hand and name it as the third argument" 3
  fi
fi
[ -r "$archive" ] || die "$archive: cannot be read" 3
found=$(sha256sum "$archive" | cut -d' ' -f1)
[ "$found" = "$sha256" ] ||
  die "$archive: SHA-256 is $found, expected $sha256; fetch it again" 4
tar -xzf "$archive" -C "$scratch" || die "$archive: cannot be unpacked" 4
rm -rf "${folder:?}/$inner"
mv "$scratch/$inner" "$folder/$inner"
whole || die "$set_name is not whole after unpacking" 4
echo "$folder: $set_name is there"
