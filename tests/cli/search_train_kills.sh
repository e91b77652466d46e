# Kills at random moments of one search and of one training, resumed each time; the result
# equals the uninterrupted one.
. "$(dirname "$0")/support.sh"
quiet=(--threads 1 --no-provenance --log-level warning)
"$bin/cachectl-backbone" train --arch resnet8 --data-samples 96 --data-image-size 16 --epochs 1 \
  --batch-size 32 --precision float32 --threads 1 --out backbone.pt >/dev/null 2>&1
data=(--backbone backbone.pt --data-samples 1500 --data-image-size 16)
run 0 "$bin/cachectl-profile" "${data[@]}" "${quiet[@]}" --batch-sizes 1 --repeats 5 --out profile.h5
run 0 "$bin/cachectl-collect" "${data[@]}" "${quiet[@]}" --profile profile.h5 --out medial.h5
RANDOM=2026

# killed NAME COUNT COMMAND...: --out cut.h5 equals --out whole.h5.
killed() {
  local name=$1 most=$2 kills=0 victim begin took
  shift 2
  rm -f whole.h5* cut.h5*
  begin=$(date +%s%3N)
  run 0 "$@" --out whole.h5
  took=$(($(date +%s%3N) - begin))
  while [ "$kills" -lt "$most" ] && [ ! -e cut.h5 ]; do
    "$@" --out cut.h5 --resume >/dev/null 2>err &
    victim=$!
    # From before it begins until a third of the whole: some kills before the first checkpoint.
    sleep "$(printf '%d.%03d' $((took / 3 * (RANDOM % 100) / 100000)) $((took / 3 * (RANDOM % 100) / 100 % 1000)))"
    if kill -9 "$victim" 2>/dev/null; then kills=$((kills + 1)); fi
    wait "$victim" 2>/dev/null || true
  done
  [ -e cut.h5 ] || run 0 "$@" --out cut.h5 --resume
  cmp whole.h5 cut.h5
  [ "$(ls cut.h5*)" = cut.h5 ] || { echo "$name left $(ls cut.h5*)" >&2; return 1; }
  [ -z "$(ls -a | grep tmp- || true)" ] || { echo "$name left $(ls -a)" >&2; return 1; }
  [ "$kills" -gt 0 ] || { echo "$name was never killed" >&2; return 1; }
  echo "$name: $kills kills, the whole in $took ms"
}

killed search 10 "$bin/cachectl-search" --medial medial.h5 --profile profile.h5 "${quiet[@]}" \
  --trials 16 --group 4 --population 4 --rung-epochs 2,4 --rung-shares 0.5,1 --batch-size 64
killed train 10 "$bin/cachectl-train" --medial medial.h5 --architectures layer1=conv3x3/2-8 --architectures layer2=fc32 "${quiet[@]}" \
  --epochs 16 --batch-size 64 --validate-every 1
