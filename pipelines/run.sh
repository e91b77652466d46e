#!/usr/bin/env bash
# pipelines/run.sh CONFIG OUT [FLAGS...]: the whole chain of one experiment, from the
# configuration to OUT/report.html. A finished step is not repeated, unless the flags or the
# configuration changed. FLAGS go to every tool: --data-root DIR, --seed N, --threads N.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,4s/^# //p' "$0" >&2
  exit 2
fi
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
config=$(readlink -f "$1")
mkdir -p "$2"
out=$(readlink -f "$2")
shift 2
if [ ! -f "$config" ]; then
  echo "run.sh: $config: no such configuration file" >&2
  exit 3
fi
export BIN=${BIN:-$root/build/bin}
"$root/pipelines/backbone.sh" "$config" "$out" "$@"
# DATA and SEED of a make around this one are in FLAGS.
exec make --no-print-directory -f "$root/pipelines/experiment.mk" \
  CONFIG="$config" OUT="$out" BIN="$BIN" DATA= SEED= FLAGS="$*"
