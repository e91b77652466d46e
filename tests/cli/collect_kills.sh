# Fifty kills at random moments of one collection; the result equals the uninterrupted one.
. "$(dirname "$0")/support.sh"
"$bin/cachectl-backbone" train --arch resnet8 --data-samples 96 --data-image-size 16 --epochs 1 \
  --batch-size 32 --precision float32 --threads 1 --out backbone.pt >/dev/null 2>&1
collect=("$bin/cachectl-collect" --backbone backbone.pt --data-samples 6000 --data-image-size 16
  --batch-size 16 --augment 2 --threads 1 --no-provenance --log-level warning)
RANDOM=2026
for layout in "" "--deflate 1"; do
  rm -f ./*.h5
  run 0 "${collect[@]}" --out whole.h5 $layout
  kills=0
  while [ "$kills" -lt 25 ] && [ ! -e cut.h5 ]; do
    "${collect[@]}" --out cut.h5 $layout --resume >/dev/null 2>err &
    victim=$!
    # Loading takes part of it; from there on any moment.
    sleep "0.$(printf '%03d' $((150 + RANDOM % 350)))"
    if kill -9 "$victim" 2>/dev/null; then kills=$((kills + 1)); fi
    wait "$victim" 2>/dev/null || true
  done
  [ -e cut.h5 ] || run 0 "${collect[@]}" --out cut.h5 $layout --resume
  cmp whole.h5 cut.h5
  [ "$(ls cut.h5*)" = cut.h5 ]
  [ "$kills" -gt 0 ]
  echo "layout '$layout': $kills kills"
done
