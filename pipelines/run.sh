#!/usr/bin/env bash
# pipelines/run.sh CONFIG OUT [FLAGS...]: the whole chain of one experiment, from the
# configuration to OUT/report.html. A finished step is not repeated, unless its settings, the files it
# reads or an earlier step changed. FLAGS go to every tool: --data-root DIR, --seed N, --device cuda.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,4s/^# //p' "$0" >&2
  exit 2
fi
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
if [ ! -f "$1" ]; then
  echo "run.sh: $1: no such configuration file" >&2
  exit 3
fi
config=$(readlink -f "$1")
mkdir -p "$2"
out=$(readlink -f "$2")
shift 2
for word in "$root" "$config" "$out" "$@"; do  # make would take the parts for several files
  if [[ $word =~ [[:space:]] ]]; then
    echo "run.sh: '$word': names with spaces are not possible here; make a link without" >&2
    exit 2
  fi
done
export BIN=${BIN:-$root/build/bin}
"$root/pipelines/backbone.sh" "$config" "$out" "$@"
# DATA and SEED of a make around this one are in FLAGS.
exec make --no-print-directory -f "$root/pipelines/experiment.mk" \
  CONFIG="$config" OUT="$out" BIN="$BIN" DATA= SEED= FLAGS="$*"
