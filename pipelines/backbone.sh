#!/usr/bin/env bash
# pipelines/backbone.sh CONFIG OUT [FLAGS...]: makes OUT/backbone.pt where the experiment brings no
# backbone: by NAME.backbone.sh beside CONFIG, which hands its arguments to cachectl-backbone, or by
# CONFIG's section backbone_training. One that was made here is made anew when what it was asked for
# changed; a file that somebody put in its place is kept, and one that CONFIG names is used instead
# where it is there. With --own as first word nothing is made: prints "made" where OUT/backbone.pt is
# this script's to make, "kept" where it is somebody's, nothing where the experiment has no use for it.
# BIN: folder of the executables.
set -euo pipefail
asks=
if [ "${1:-}" = --own ]; then asks=yes && shift; fi
config=$1 out=$2
shift 2
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
export BIN=${BIN:-$root/build/bin}
file=$out/backbone.pt steps=$out/steps
made=$steps/backbone.made  # the SHA-256 of the file that was made here

recipe=${config%.yaml}.backbone.sh
maker=()
if [ -f "$recipe" ]; then
  maker=(bash "$recipe")
elif grep -q '^backbone_training:' "$config"; then
  maker=("$BIN/cachectl-backbone" train --config "$config")
fi

# Whether the configuration names a backbone that is there.
brought() {
  local profile=("$BIN/cachectl-profile" --config "$config" "$@") named path
  named=$("${profile[@]}" --list-settings | sed -n 's/^backbone\.path: //p') || exit
  [ -n "$named" ] || return 1
  while IFS= read -r path; do
    if [[ /$path == *"/$named" && -f $path ]]; then return 0; fi
  done < <("${profile[@]}" --list-inputs)
  return 1
}
sum() { sha256sum <"$file"; }

if [ ! -f "$file" ]; then
  if [ ${#maker[@]} -eq 0 ] || brought "$@"; then exit 0; fi
elif [ ${#maker[@]} -eq 0 ] || [ ! -f "$made" ] || [ "$(cat "$made")" != "$(sum)" ]; then
  if [ -n "$asks" ]; then echo kept; fi
  exit 0
fi
if [ -n "$asks" ]; then echo made && exit 0; fi
"$root/pipelines/asked.sh" "$out" backbone "${maker[@]}" "$@"
if [ -f "$file" ] && [ ! "$steps/backbone.asked" -nt "$made" ]; then exit 0; fi
resume=()
if [ -f "$file.partial" ]; then resume=(--resume); fi
"$root/scripts/measured.py" "$steps/backbone.json" "${maker[@]}" --force "${resume[@]}" --out "$file" "$@"
sum >"$made"
