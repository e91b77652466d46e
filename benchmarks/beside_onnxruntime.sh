#!/usr/bin/env bash
# beside_onnxruntime.sh CONFIG RUN MODEL.onnx SHAPE [FLAGS...]: a run's plan, on samples of its test
# part, against ONNX Runtime on the same backbone: cachectl-eval and ONNX Runtime take turns, and the
# ratios are medians over the rounds, of mean times of a batch. Where PLAN names another plan than
# RUN/plan.h5, it is that one's. JSON on stdout; FLAGS go to cachectl-eval: --data-root DIR, --seed N. Run
# it on an idle machine.
#
# BUILD: build folder; THREADS (2), ROUNDS (5), BATCHES (1,8,32,128), REPEATS (60) pairs of a round,
# SECONDS_PER_SIZE (3) of ONNX Runtime; ONNXRUNTIME_NODE: a folder where npm has installed
# onnxruntime-node (npm install --ignore-scripts onnxruntime-node)
set -euo pipefail
[ $# -ge 4 ] || { sed -n 2,11p "$0" >&2; exit 2; }
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
bin=${BUILD:-$root/build}/bin
config=$1 run=$2 onnx=$3 shape=$4
shift 4
threads=${THREADS:-2} rounds=${ROUNDS:-5} batches=${BATCHES:-1,8,32,128}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for round in $(seq "$rounds"); do
  "$bin/cachectl-eval" --config "$config" "$@" --medial "$run/medial.h5" --plan "${PLAN:-$run/plan.h5}" \
    --threads "$threads" --batches "$batches" --repeats "${REPEATS:-60}" --curve-repeats 0 --json \
    --log-level warning --out "$scratch/report-$round.h5" >"$scratch/ours.$round"
  node "$root/benchmarks/onnxruntime.mjs" "$onnx" "$shape" "$batches" "$threads" \
    "${SECONDS_PER_SIZE:-3}" >"$scratch/theirs.$round"
done
commit=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)
/usr/bin/python3 - "$scratch" "$rounds" "$onnx" "$threads" "$commit" <<'PY'
import json, statistics, sys
scratch, rounds, model, threads, commit = sys.argv[1:]
load = lambda side, turn: json.load(open(f"{scratch}/{side}.{turn}"))
by_batch = {}
for turn in range(1, int(rounds) + 1):
    theirs = {entry["batch"]: entry["mean"] for entry in load("theirs", turn)}
    for entry in load("ours", turn)["latency"]:
        by_batch.setdefault(entry["batch"], []).append(
            {"plain": entry["plain_ms"]["mean"], "cached": entry["cached_ms"]["mean"],
             "onnxruntime": theirs[entry["batch"]], "flops_saved": entry["flops_saved"]})


def spread(values):
    return {name: round(of(values), 4) for name, of in
            (("median", statistics.median), ("min", min), ("max", max))}


print(json.dumps({"model": model, "threads": int(threads), "rounds": int(rounds), "commit": commit, "batches": [
    {"batch": batch, "flops_saved": round(entries[0]["flops_saved"], 4)}
    | {f"{side}_ms": spread([entry[side] for entry in entries]) for side in ("plain", "cached", "onnxruntime")}
    | {f"{side}_over_onnxruntime": spread([entry[side] / entry["onnxruntime"] for entry in entries])
       for side in ("plain", "cached")}
    for batch, entries in by_batch.items()]}, indent=1))
PY
