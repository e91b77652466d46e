#!/usr/bin/env bash
# search.sh CONFIG MEDIAL PROFILE LAYER [TRIALS] [SEEDS] [FLAGS...]: successive halving against
# random trials of the full length, in equal minutes. For each seed the halving search runs TRIALS
# (64) trials of LAYER; the random one gets the seconds that took. Prints, as JSON, what the chosen
# architectures are estimated to save a sample, on the validation part. Only an idle machine gives
# both the same minutes.
set -euo pipefail
[ $# -ge 4 ] || { sed -n 2,6p "$0" >&2; exit 2; }
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
bin=${BUILD:-$root/build}/bin
config=$1 medial=$2 profile=$3 layer=$4 trials=${5:-64} seeds=${6:-3}
shift $(($# < 6 ? $# : 6))
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

search() {  # NAME FLAGS...
  local name=$1
  shift
  "$bin/cachectl-search" --config "$config" --medial "$medial" --profile "$profile" --json \
    --layers "$layer" --log-level warning --out "$scratch/$name.h5" "$@" >"$scratch/$name.json"
}
for seed in $(seq "$seeds"); do
  begin=$(date +%s.%N)
  search "halving-$seed" --seed "$seed" --trials "$trials" --minutes 0 "$@"
  seconds=$(awk -v from="$begin" -v to="$(date +%s.%N)" 'BEGIN {print to - from}')
  search "random-$seed" --seed "$seed" --trials 1000 --minutes "$(awk "BEGIN {print $seconds / 60}")" \
    --proposals random --promotion none "$@"
  echo "$seed $seconds" >>"$scratch/seconds"
done
/usr/bin/python3 - "$scratch" <<'PY'
import json, statistics, sys
runs, mean = [], {}
for strategy in ("halving", "random"):
    for line in open(f"{sys.argv[1]}/seconds"):
        seed, seconds = line.split()
        (layer,) = json.load(open(f"{sys.argv[1]}/{strategy}-{seed}.json"))["layers"]
        chosen = layer["chosen"]
        runs.append({"strategy": strategy, "seed": int(seed), "seconds": round(float(seconds), 1),
                     "trials": layer["trials"], "architecture": chosen["architecture"], "macs": chosen["macs"],
                     "saved_mflops": round(chosen["utility_flops"] / 1e6, 3), "agreement": chosen["agreement"]})
    mean[strategy] = round(statistics.mean(r["saved_mflops"] for r in runs if r["strategy"] == strategy), 3)
print(json.dumps({"layer": layer["layer"], "mean_saved_mflops": mean, "runs": runs}, indent=1))
PY
