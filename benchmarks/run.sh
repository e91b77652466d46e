#!/usr/bin/env bash
# run.sh OUT [DATA]: loading, learning, selection, engine, collection and plain backbones, one JSON
# file each into the folder OUT; for an idle machine, which they keep busy for some twenty minutes.
# Without DATA, the folder with cifar10/ and backbones/, those on real backbones are skipped, and
# say so. What needs a finished run or a server is a command of its own: tolerances.sh, levers.sh,
# search.sh, beside_onnxruntime.sh, storage_effect.sh, measuring.py, serve.sh, bench-answers,
# bench-paper-protocol.
#
# BUILD: build folder, configured with -DCACHECTL_BENCHMARKS=ON (make bench does); ONNXRUNTIME_NODE:
# folder where npm has installed onnxruntime-node, to run beside it; ONLY: names of some of them.
set -euo pipefail
[ $# -ge 1 ] || { sed -n 2,10p "$0" >&2; exit 2; }
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
build=${BUILD:-$here/../build}
data=${2:-}
export BUILD=$build
mkdir -p "$1"
out=$(readlink -f "$1")
CACHECTL_COMMIT=$(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo unknown)
export CACHECTL_COMMIT

# measure NAME COMMAND...: the command's stdout becomes OUT/NAME.json.
measure() {
  local name=$1
  shift
  if [ -n "${ONLY:-}" ] && [[ " $ONLY " != *" $name "* ]]; then return; fi
  echo "$name" >&2
  "$@" >"$out/$name.json.new"
  mv "$out/$name.json.new" "$out/$name.json"
}
real() {  # as measure, where there is DATA
  if [ -z "$data" ]; then
    echo "$1: skipped, no DATA folder" >&2
  else
    measure "$@"
  fi
}

google=(--benchmark_format=json --benchmark_context=commit="$CACHECTL_COMMIT")
measure data "$build/bin/bench-data" "${google[@]}"
measure learn "$build/bin/bench-learn" "${google[@]}"
measure selection "$build/bin/bench-selection" "${google[@]}"
engine=(env OMP_NUM_THREADS=1 "$build/bin/bench-engine")  # one thread: by processor time
measure engine "${engine[@]}"
real engine-resnet56 "${engine[@]}" "$data/backbones/cifar10-resnet56.pt" 32 60
real engine-resnet18 "${engine[@]}" "$data/backbones/cifar10-resnet18.pt" 32 20
images=${data:+$(find -L "$data/cifar10" -name test_batch.bin | head -n 1)}
real collect-resnet56 "$build/bin/bench-collect" "$data/backbones/cifar10-resnet56.pt" "$images" 2000 5
for name in cifar10-resnet20 cifar10-resnet56 cifar100-resnet56; do
  onnx=()
  if [ -n "${ONNXRUNTIME_NODE:-}" ]; then onnx=("$data/backbones/$name.onnx"); fi
  real "plain-$name" "$here/backbones.sh" "$data/backbones/$name.pt" 3x32x32 "${onnx[@]}"
done
