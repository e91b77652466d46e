#!/usr/bin/env bash
# search.sh CONFIG RUN LAYER [TRIALS] [SEEDS] [FLAGS...]: evolution with successive halving against
# independent random trials of the full length, in equal minutes and without architectures known to be
# good, on RUN/medial.h5 and RUN/profile.h5. For each seed the search runs TRIALS (64) trials of LAYER;
# the random one gets the seconds that took. What each has chosen is then trained anew (EPOCHS, 30).
# Prints, as JSON, what it saves a sample at the configuration's tolerance: as the search estimated it,
# on the validation part it chose by, and on the test part, which it never saw, with the threshold of
# the validation part and what differs there. FLAGS go to all tools (--data-root DIR). Only an idle
# machine gives both the same minutes.
set -euo pipefail
[ $# -ge 3 ] || { sed -n 2,9p "$0" >&2; exit 2; }
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
bin=${BUILD:-$root/build}/bin
config=$1 run=$2 layer=$3 trials=${4:-64} seeds=${5:-3}
shift $(($# < 5 ? $# : 5))
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
common=(--config "$config" "$@" --log-level warning)
chain=(--medial "$run/medial.h5" --profile "$run/profile.h5")

search() {  # NAME FLAGS...
  local name=$1 begin
  shift
  begin=$(date +%s.%N)
  "$bin/cachectl-search" "${common[@]}" "${chain[@]}" --json --layers "$layer" \
    --first plain=linear --out "$scratch/$name-study.h5" "$@" >"$scratch/$name.json"
  awk -v from="$begin" -v to="$(date +%s.%N)" 'BEGIN {print to - from}' >"$scratch/$name.seconds"
}
measure() {  # NAME SEED
  local file=$scratch/$1
  "$bin/cachectl-train" "${common[@]}" --seed "$2" --medial "$run/medial.h5" --study "$file-study.h5" \
    --epochs "${EPOCHS:-30}" --minutes 0 --no-online-augment --out "$file-caches.h5" >/dev/null
  "$bin/cachectl-calibrate" "${common[@]}" --medial "$run/medial.h5" --caches "$file-caches.h5" \
    --out "$file-calibrated.h5" >/dev/null
  "$bin/cachectl-select" "${common[@]}" "${chain[@]}" --caches "$file-calibrated.h5" --require "$layer" \
    --epsilon 0 --tolerance 1 --out "$file-plan.h5" >/dev/null
  "$bin/cachectl-eval" "${common[@]}" --medial "$run/medial.h5" --plan "$file-plan.h5" --batches 1 \
    --repeats 2 --curve-repeats 0 --out "$file-report.h5" >/dev/null
}
for seed in $(seq "$seeds"); do
  search "halving-$seed" --seed "$seed" --trials "$trials" --minutes 0
  minutes=$(awk '{print $1 / 60}' "$scratch/halving-$seed.seconds")
  search "random-$seed" --seed "$seed" --trials 1000 --minutes "$minutes" --proposals random --promotion none
  for strategy in halving random; do measure "$strategy-$seed" "$seed"; done
done
/usr/bin/python3 - "$scratch" "$seeds" <<'PY'
import json, statistics, sys
import h5py
import numpy as np
scratch, seeds = sys.argv[1], int(sys.argv[2])


def threshold(file, tolerance):
    """The lowest confidence from which on no more than the tolerance differ, of the validation part."""
    (cache,) = file["caches"].values()
    confidence, answers = (cache["calibration"][name][:] for name in ("confidences", "predictions"))
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(answers[order] != file["backbone_classes"][:][order]) / len(order)
    ends = np.append(np.diff(confidence[order]) != 0, True)  # equal confidences leave together
    within = np.flatnonzero((wrong <= tolerance) & ends)
    return confidence[order][within[-1]] if len(within) else np.inf


runs, means = [], {}
for strategy in ("halving", "random"):
    for seed in range(1, seeds + 1):
        name = f"{scratch}/{strategy}-{seed}"
        (layer,) = json.load(open(f"{name}.json"))["layers"]
        chosen = layer["chosen"]
        with h5py.File(f"{name}-study.h5") as file:
            tolerance = float(file.attrs["tolerance"])
            behind = float(next(iter(file["layers"].values())).attrs["flops_after"])
        with h5py.File(f"{name}-calibrated.h5") as file:
            least = threshold(file, tolerance)
        with h5py.File(f"{name}-report.h5") as file:
            (head,) = file["alone"].values()
            place = int(np.sum(head["threshold"][:] >= least)) - 1
            hits, right = (head["hit_rate"][place], head["cache_accuracy"][place]) if place >= 0 else (0, 1)
            agreement = float(head["cache_accuracy"][-1])
        runs.append({"strategy": strategy, "seed": seed,
                     "seconds": round(float(open(f"{name}.seconds").read()), 1), "trials": layer["trials"],
                     "architecture": chosen["architecture"], "macs": chosen["macs"],
                     "estimated_mflops": round(chosen["utility_flops"] / 1e6, 3),
                     "test_mflops": round((hits * behind - 2 * chosen["macs"]) / 1e6, 3),
                     "test_differing": round(float(hits * (1 - right)), 4),
                     "test_agreement": round(agreement, 4)})
    means[strategy] = {key: round(statistics.mean(run[key] for run in runs if run["strategy"] == strategy), 4)
                       for key in ("seconds", "trials", "estimated_mflops", "test_mflops", "test_differing",
                                   "test_agreement")}
print(json.dumps({"layer": layer["layer"], "means": means, "runs": runs}, indent=1))
PY
