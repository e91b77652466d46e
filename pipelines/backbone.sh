#!/usr/bin/env bash
# pipelines/backbone.sh CONFIG OUT [FLAGS...]: makes OUT/backbone.pt where the experiment
# brings no backbone: by CONFIG's NAME.backbone.sh, or by its section backbone_training. A file
# that is there is kept, so that a backbone of one's own can be put in its place.
# BIN: folder of the executables.
set -euo pipefail
config=$1 out=$2
shift 2
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
export BIN=${BIN:-$root/build/bin} OUT=$out
recipe=${config%.yaml}.backbone.sh
if [ -f "$out/backbone.pt" ]; then exit 0; fi
measured=("$root/scripts/measured.py" "$out/steps/backbone.json")
mkdir -p "$out/steps"
if [ -f "$recipe" ]; then exec "${measured[@]}" bash "$recipe" "$@"; fi
if ! grep -q '^backbone_training:' "$config"; then exit 0; fi
resume=()
if [ -f "$out/backbone.pt.partial" ]; then resume=(--resume); fi
exec "${measured[@]}" "$BIN/cachectl-backbone" train --config "$config" "${resume[@]}" --force \
  --out "$out/backbone.pt" "$@"
