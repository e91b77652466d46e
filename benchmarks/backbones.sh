#!/usr/bin/env bash
# Plain backbone and chain of segments against LibTorch and ONNX Runtime.
#
#   backbones.sh MODEL.pt SHAPE [MODEL.onnx]
#
# BUILD: build folder (with -DCACHECTL_BENCHMARKS=ON); THREADS (2), ROUNDS (5), BATCHES
# (1,8,32,128), SECONDS_PER_SIZE (3); ONNXRUNTIME_NODE: a folder where npm has installed
# onnxruntime-node (npm install --ignore-scripts onnxruntime-node). Rounds of both sides take
# turns; the ratio is the median over the rounds, of ours by itself over theirs. Run it on an idle machine.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
model=$1 shape=$2 onnx=${3:-}
bench=${BUILD:-$here/../build}/bin/bench-backbones
threads=${THREADS:-2} rounds=${ROUNDS:-5} batches=${BATCHES:-1,8,32,128} seconds=${SECONDS_PER_SIZE:-3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export OMP_NUM_THREADS=$threads
for round in $(seq "$rounds"); do
  "$bench" "$model" "$shape" "$batches" "$seconds" > "$folder/ours.$round"
  if [ -n "$onnx" ]; then
    node "$here/onnxruntime.mjs" "$onnx" "$shape" "$batches" "$threads" "$seconds" > "$folder/ort.$round"
  fi
done
commit=$(git -C "$here" rev-parse --short HEAD 2> /dev/null || echo unknown)
python3 - "$folder" "$rounds" "$model" "$threads" "$commit" << 'PYTHON'
import json, os, statistics, sys
folder, rounds, model, threads, commit = sys.argv[1:]
ours, theirs = {}, {}
for r in range(1, int(rounds) + 1):
    for entry in json.load(open(f"{folder}/ours.{r}"))["batches"]:
        ours.setdefault(entry["batch"], []).append(entry)
    if os.path.exists(f"{folder}/ort.{r}"):
        for entry in json.load(open(f"{folder}/ort.{r}")):
            theirs.setdefault(entry["batch"], []).append(entry["ms"])
spread = lambda v: {"median": round(statistics.median(v), 4), "min": round(min(v), 4), "max": round(max(v), 4)}
result = {"model": model, "threads": int(threads), "rounds": int(rounds), "commit": commit, "batches": []}
for batch, entries in ours.items():
    plain = [e["plain_ms"]["median"] for e in entries]
    alone = [e["plain_alone_ms"]["median"] for e in entries]
    row = {"batch": batch, "plain_ms": spread(plain), "plain_alone_ms": spread(alone)}
    for side in ("chain", "frozen", "optimize_for_inference"):
        row[side + "_over_plain"] = spread([e[side + "_over_plain"]["median"] for e in entries])
    if batch in theirs:
        row["onnxruntime_ms"] = spread(theirs[batch])
        row["plain_over_onnxruntime"] = spread([a / b for a, b in zip(alone, theirs[batch])])
    result["batches"].append(row)
print(json.dumps(result, indent=2))
PYTHON
