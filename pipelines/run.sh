#!/usr/bin/env bash
# pipelines/run.sh CONFIG OUT [FLAGS...]: the whole chain of one experiment, from the
# configuration to OUT/report.html. A finished step is not repeated, unless its settings, the files it
# reads or an earlier step changed. FLAGS go to every tool: --data-root DIR, --seed N, --device cuda.
# Ends with 0 when all is made, else with make's status: the step's own stands in make's last line.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,5s/^# //p' "$0" >&2
  exit 2
fi
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
if [ ! -f "$1" ]; then
  echo "run.sh: $1: no such configuration file" >&2
  exit 3
fi
export BIN=${BIN:-$root/build/bin}
config=$(readlink -f "$1")
out=$(readlink -m "$2")
shift 2
# make and its shell read more into these; the colon of --device cuda:1 is none of a name.
special='[][:space:]:%$#;&|<>()*?"'"'"'\\`!{}[]'
for word in "$root" "$config" "$out" "$BIN" "${@//:/}"; do
  if [[ $word =~ $special ]]; then
    echo "run.sh: $word: names with '${BASH_REMATCH[0]}' are not possible here; make a link without" >&2
    exit 2
  fi
done
mkdir -p "$out"
"$root/pipelines/backbone.sh" "$config" "$out" "$@"
# DATA and SEED of a make around this one are in FLAGS.
exec make --no-print-directory -f "$root/pipelines/experiment.mk" \
  CONFIG="$config" OUT="$out" BIN="$BIN" DATA= SEED= FLAGS="$*"
