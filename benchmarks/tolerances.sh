#!/usr/bin/env bash
# tolerances.sh CONFIG RUN [FLAGS...]: plans of one run's cache models at several tolerances and
# certified ones at several epsilons, and those chosen by latency under the configuration's own, each
# measured on the test part into RUN/report-*.h5, which scripts/results.py puts side by side; and the
# run's own plan timed again, for where the machine was not idle when the run came to its end. FLAGS
# go to both tools: --data-root DIR, --seed N. Latencies are worth keeping from an idle machine only.
#
# BUILD: build folder; TOLERANCES (0.005 0.01 0.015 0.02 0.03); EPSILONS (0.01 0.02 0.03); DELTA (0.05);
# BATCHES (1,8,32,128) and REPEATS (300) of the latency, REPEATS=0 to leave it out
set -euo pipefail
[ $# -ge 2 ] || { sed -n 2,9p "$0" >&2; exit 2; }
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
bin=${BUILD:-$root/build}/bin
config=$1 run=$2
shift 2
backbone=()
if [ -f "$run/backbone.pt" ]; then backbone=(--backbone "$run/backbone.pt"); fi

timing=(--batches 1 --repeats 2)
evaluate() {  # NAME PLAN
  "$bin/cachectl-eval" --config "$config" "${flags[@]}" --medial "$run/medial.h5" \
    --plan "$2" "${timing[@]}" --curve-repeats 0 --out "$run/report-$1.h5" >/dev/null
}
measure() {  # NAME SELECT-FLAGS...
  local name=$1
  shift
  "$bin/cachectl-select" --config "$config" "${flags[@]}" --medial "$run/medial.h5" \
    --caches "$run/calibrated.h5" --profile "$run/profile.h5" --out "$run/plan-$name.h5" "$@" >/dev/null
  evaluate "$name" "$run/plan-$name.h5"
}
flags=("$@" "${backbone[@]}" --force --log-level warning)
for tolerance in ${TOLERANCES:-0.005 0.01 0.015 0.02 0.03}; do
  measure "tolerance-$(awk "BEGIN { print 100 * $tolerance }")" --tolerance "$tolerance" --epsilon 0
done
for epsilon in ${EPSILONS:-0.01 0.02 0.03}; do
  measure "certified-$(awk "BEGIN { print 100 * $epsilon }")" --epsilon "$epsilon" --delta "${DELTA:-0.05}"
done
layers=$(/usr/bin/python3 -c 'import h5py, sys
caches = h5py.File(sys.argv[1])["caches"]
print(",".join(caches[name].attrs["layer"].decode() for name in sorted(caches)))' "$run/calibrated.h5")
measure heads --require "$layers" --epsilon 0 --tolerance 1
rm -f "$run/report-latency.h5" "$run/report-own.h5"  # of earlier plans
if [ "${REPEATS:-300}" -gt 0 ]; then
  batches=${BATCHES:-1,8,32,128}
  timing=(--batches "$batches" --repeats "${REPEATS:-300}")
  evaluate own "$run/plan.h5"
  measure latency --cost latency --batch "$batches"
fi
