#!/usr/bin/env bash
# search.sh CONFIG RUN LAYER [TRIALS] [SEEDS] [FLAGS...]: the search as it comes against independent
# random trials of the full length, in equal minutes, on RUN/medial.h5 and RUN/profile.h5. For each
# seed the search runs TRIALS (64) trials of LAYER; the random one, without any known architecture to
# begin with, gets the seconds that took. What each has chosen is then trained anew (EPOCHS, 30), and
# prints, as JSON, what it saves a sample at the configuration's tolerance: as the search estimated it
# on the validation part, which it chose by, and on the test part, which it never saw. FLAGS go to all
# tools (--data-root DIR). Only an idle machine gives both the same minutes.
set -euo pipefail
[ $# -ge 3 ] || { sed -n 2,8p "$0" >&2; exit 2; }
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
bin=${BUILD:-$root/build}/bin
config=$1 run=$2 layer=$3 trials=${4:-64} seeds=${5:-3}
shift $(($# < 5 ? $# : 5))
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
common=(--config "$config" "$@" --log-level warning)
chain=(--medial "$run/medial.h5" --profile "$run/profile.h5")

search() {  # NAME FLAGS...
  local name=$1
  shift
  "$bin/cachectl-search" "${common[@]}" "${chain[@]}" --json --layers "$layer" \
    --out "$scratch/$name-study.h5" "$@" >"$scratch/$name.json"
}
measure() {  # NAME SEED
  local file=$scratch/$1
  "$bin/cachectl-train" "${common[@]}" --seed "$2" --medial "$run/medial.h5" --study "$file-study.h5" \
    --epochs "${EPOCHS:-30}" --minutes 0 --online-augment=false --out "$file-caches.h5" >/dev/null
  "$bin/cachectl-calibrate" "${common[@]}" --medial "$run/medial.h5" --caches "$file-caches.h5" \
    --out "$file-calibrated.h5" >/dev/null
  "$bin/cachectl-select" "${common[@]}" "${chain[@]}" --caches "$file-calibrated.h5" --require "$layer" \
    --epsilon 0 --tolerance 1 --out "$file-plan.h5" >/dev/null
  "$bin/cachectl-eval" "${common[@]}" --plan "$file-plan.h5" --batches 1 --repeats 2 --curve-repeats 0 \
    --out "$file-report.h5" >/dev/null
}
for seed in $(seq "$seeds"); do
  begin=$(date +%s.%N)
  search "halving-$seed" --seed "$seed" --trials "$trials" --minutes 0
  seconds=$(awk -v from="$begin" -v to="$(date +%s.%N)" 'BEGIN {print to - from}')
  search "random-$seed" --seed "$seed" --trials 1000 --minutes "$(awk "BEGIN {print $seconds / 60}")" \
    --proposals random --promotion none --first plain=linear
  for strategy in halving random; do measure "$strategy-$seed" "$seed"; done
  echo "$seed $seconds" >>"$scratch/seconds"
done
/usr/bin/python3 - "$scratch" <<'PY'
import json, statistics, sys
import h5py
runs, means = [], {}
for strategy in ("halving", "random"):
    for line in open(f"{sys.argv[1]}/seconds"):
        seed, seconds = line.split()
        name = f"{sys.argv[1]}/{strategy}-{seed}"
        (layer,) = json.load(open(f"{name}.json"))["layers"]
        chosen = layer["chosen"]
        with h5py.File(f"{name}-study.h5") as file:
            tolerance = float(file.attrs["tolerance"])
            behind = float(next(iter(file["layers"].values())).attrs["flops_after"])
        with h5py.File(f"{name}-report.h5") as file:
            (head,) = file["alone"].values()
            wrong = head["hit_rate"][:] * (1 - head["cache_accuracy"][:])
            hits = max([0.0, *head["hit_rate"][:][wrong <= tolerance]])
            agreement = float(head["cache_accuracy"][-1])
        runs.append({"strategy": strategy, "seed": int(seed), "seconds": round(float(seconds), 1),
                     "trials": layer["trials"], "architecture": chosen["architecture"], "macs": chosen["macs"],
                     "estimated_mflops": round(chosen["utility_flops"] / 1e6, 3),
                     "test_mflops": round((hits * behind - 2 * chosen["macs"]) / 1e6, 3),
                     "test_agreement": round(agreement, 4)})
    means[strategy] = {key: round(statistics.mean(r[key] for r in runs if r["strategy"] == strategy), 3)
                       for key in ("estimated_mflops", "test_mflops", "test_agreement")}
print(json.dumps({"layer": layer["layer"], "means": means, "runs": runs}, indent=1))
PY
