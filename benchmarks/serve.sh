#!/usr/bin/env bash
# benchmarks/serve.sh BACKBONE PLAN [SECONDS] [ROUNDS] [FLAGS...]: throughput and latency of a plan
# behind the server against the backbone alone behind the same server (--plain). The two are
# asked in turn, ROUNDS times SECONDS each, by wrk on the same machine. Prints JSON: medians, their
# spread, and the share of FLOPs that the server counted as saved. Only an idle machine gives figures
# worth keeping.
#
# INPUTS: a .npy file of float32 samples as the backbone takes them, [n, ...], for the traffic; else it
# is the plan's own few self-test samples, which are no fair sample of anything. CIFAR-10's test images:
#   records = numpy.fromfile("test_batch.bin", "u1").reshape(-1, 3073)
#   mean, std = numpy.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
#   images = (records[:, 1:].reshape(-1, 3, 32, 32) / 255 - mean) / std
#   numpy.save("cifar.npy", images.astype("f4"))
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
for file in "$1" "$2" ${INPUTS:+"$INPUTS"}; do
  [ -f "$file" ] || { echo "serve.sh: $file: no such file" >&2; exit 3; }
done
traffic=${INPUTS:+$(readlink -f "$INPUTS")}
backbone=$(readlink -f "$1") plan=$(readlink -f "$2") seconds=${3:-5} rounds=${4:-5}
shift $(($# < 4 ? $# : 4))
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
bin=${BIN:-$root/build/bin} python=${CACHECTL_PYTHON:-/usr/bin/python3}
scratch=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$scratch"' EXIT

start() { # NAME FLAGS...: its address in NAME.address
  local address=$scratch/$1.address
  shift
  "$bin/cachectl-serve" --backbone "$backbone" --plan "$plan" --model m --port 0 --watch-seconds 0 \
    --log-level error "$@" >"$address" &
  pids+=($!)
  while [ ! -s "$address" ]; do
    kill -0 "${pids[-1]}" || { echo "serve.sh: the server did not start" >&2; exit 1; }
    sleep 0.1
  done
}
start cached "$@"
start plain --plain "$@"
cd "$scratch" # not before: BIN and FLAGS may hold relative paths

bodies=250 # requests that differ
for items in 1 8 32; do
  "$python" - "$plan" "$items" "$bodies" ${traffic:+"$traffic"} <<'PY'
import json, sys
import h5py, numpy
items, bodies = int(sys.argv[2]), int(sys.argv[3])
samples = numpy.load(sys.argv[4]) if len(sys.argv) > 4 else h5py.File(sys.argv[1])["self_test_inputs"][:]
for number in range(bodies):
    chosen = numpy.arange(number * items, (number + 1) * items) % len(samples)
    batch = samples[chosen].astype("<f4")
    head = json.dumps({"inputs": [{"name": "input", "datatype": "FP32", "shape": list(batch.shape),
                                   "parameters": {"binary_data_size": batch.nbytes}}]}).encode()
    open(f"body.{number + 1}", "wb").write(head + batch.tobytes())
    open("length", "w").write(str(len(head)))
PY
  for round in $(seq 0 "$rounds"); do # the first warms up
    for side in cached plain; do
      wrk -t1 -c16 -d"${seconds}s" -s "$root/tests/serve/load.lua" \
        "$(cat $side.address)/v2/models/m/infer" -- body "$(cat length)" "$bodies" >loaded
      [ "$round" -eq 0 ] || awk -v side=$side -v items="$items" '
        /^status 200/ {n = $3} /^status/ && $2 != 200 {bad += $3}
        /^seconds/ {s = $2} /^p50_ms/ {p50 = $2} /^p99_ms/ {p99 = $2}
        END {print side, items, n * items / s, p50, p99, bad + 0}' loaded >>measured
    done
  done
  curl -s "$(cat cached.address)/metrics" |
    awk -v items="$items" '/^cachectl_flops_total / {f = $2} /^cachectl_plain_flops_total / {p = $2}
      END {printf "%d %.17g %.17g\n", items, f, p}' >>flops
done

"$python" - "$(git -C "$root" rev-parse --short HEAD)" "$seconds" "$rounds" <<'PY'
import json, os, statistics, sys
rows = [line.split() for line in open("measured")]
flops = {int(a): (float(b), float(c)) for a, b, c in (line.split() for line in open("flops"))}
result = {"commit": sys.argv[1], "cores": os.cpu_count(), "load": os.getloadavg()[0],
          "seconds": float(sys.argv[2]), "rounds": int(sys.argv[3]), "batches": []}
spent, plain = 0.0, 0.0
for items in flops:
    saved = 1 - (flops[items][0] - spent) / (flops[items][1] - plain)
    spent, plain = flops[items]
    of = lambda side, column: [float(row[column]) for row in rows if row[0] == side and int(row[1]) == items]
    ratios = [a / b for a, b in zip(of("cached", 2), of("plain", 2))]
    result["batches"].append({
        "items_per_request": items, "flops_saved": round(saved, 4),
        "throughput": {side: round(statistics.median(of(side, 2)), 1) for side in ("cached", "plain")},
        "p50_ms": {side: statistics.median(of(side, 3)) for side in ("cached", "plain")},
        "p99_ms": {side: statistics.median(of(side, 4)) for side in ("cached", "plain")},
        "throughput_ratio": {"median": round(statistics.median(ratios), 3), "low": round(min(ratios), 3),
                             "high": round(max(ratios), 3)},
        "wanted_ratio": round(1 / (1 - 0.9 * saved), 3),
        "failed": int(sum(of("cached", 5)) + sum(of("plain", 5)))})
print(json.dumps(result, indent=1))
PY
