#!/usr/bin/env bash
# pipelines/asked.sh OUT [FLAGS...]: notes in OUT/steps/asked what an experiment was asked for beside
# its configuration. The file is rewritten only when that changes: all steps are then made anew. A run
# that has none is taken for one with these flags.
set -euo pipefail
out=$1
shift
declare -A asked=()
if [ -n "${CACHECTL_DATA:-}" ]; then asked[--data-root]=$(realpath -m -- "$CACHECTL_DATA"); fi
while [ $# -gt 0 ]; do
  option=${1%%=*} value=
  if [ "$option" != "$1" ]; then
    value=${1#*=}
  elif [ $# -gt 1 ] && [[ $2 != --* ]]; then
    value=$2
    shift
  fi
  shift
  case $option in
    --threads | --log-level) continue ;;  # no other results
    --data-root) value=$(realpath -m -- "$value") ;;
  esac
  asked[$option]=$value
done
mkdir -p "$out/steps"
file=$out/steps/asked
for option in "${!asked[@]}"; do printf '%s %s\n' "$option" "${asked[$option]}"; done | LC_ALL=C sort >"$file.new"
if [ ! -f "$file" ] && [ -f "$out/profile.h5" ]; then
  touch -r "$out/profile.h5" "$file.new"
elif [ -f "$file" ] && cmp -s "$file" "$file.new"; then
  rm "$file.new"
  exit 0
fi
mv "$file.new" "$file"
