# cachectl-collect: what it prints, misuse, kills and resume, shards, a disk that is full or
# read-only. The files are compared byte for byte.
. "$(dirname "$0")/support.sh"
tool=$bin/cachectl-collect

"$bin/cachectl-backbone" train --arch resnet8 --data-samples 96 --data-image-size 16 --epochs 1 \
  --batch-size 32 --precision float32 --threads 1 --out backbone.pt >/dev/null 2>&1
# An array and no function: a kill must hit the tool itself.
collect=("$tool" --backbone backbone.pt --data-samples 400 --data-image-size 16 --batch-size 16
  --threads 1 --no-provenance)

run 0 "${collect[@]}" --out m.h5
says out "validation"
says out "m.h5: 400 rows, 3 layers, 10 classes"
says err "the disk has"
run 0 "${collect[@]}" --out j.h5 --json
says out '"certify": 40'
says out '"conversion"'
cmp m.h5 j.h5
run 0 "$bin/cachectl-inspect" m.h5 --verify
says out "Verified"
run 0 "$tool" --help
says out "--shard"

# Misuse.
run 3 "${collect[@]}" --out m.h5
says err "--force"
run 2 "${collect[@]}" --out a.h5 --storage float8
run 2 "${collect[@]}" --out a.h5 --shard 3/2
says err "expected i/n"
run 2 "$tool" --out a.h5
says err "--backbone is required"
run 5 "${collect[@]}" --out a.h5 --layers layer7
says err "has no candidate 'layer7'"
run 2 "${collect[@]}" --out a.h5 --split-test 0.9
says err "must sum to 1"
run 3 "$tool" --backbone none.pt --out a.h5
[ ! -e a.h5 ]

# Killed at any moment, it goes on to the same bytes; the same for compressed files.
kill_and_resume() {
  local name=$1
  shift
  run 0 "${collect[@]}" --out "whole-$name.h5" "$@"
  "${collect[@]}" --out "cut-$name.h5" "$@" >/dev/null 2>&1 &
  local victim=$!
  for _ in $(seq 2000); do
    [ -s "cut-$name.h5.partial.journal" ] && break
    sleep 0.01
  done
  kill -9 "$victim"
  wait "$victim" 2>/dev/null || true
  if [ ! -e "cut-$name.h5" ]; then
    run 3 "${collect[@]}" --out "cut-$name.h5" "$@"
    says err "--resume"
    run 5 "${collect[@]}" --out "cut-$name.h5" "$@" --resume --seed 9
    says err "it was begun with [seed: 1; "
    run 0 "${collect[@]}" --out "cut-$name.h5" "$@" --resume
  fi
  cmp "whole-$name.h5" "cut-$name.h5"
  [ ! -e "cut-$name.h5.partial" ]
  [ ! -e "cut-$name.h5.partial.journal" ]
  [ ! -e "cut-$name.h5.partial.chunks" ]
}
kill_and_resume plain --augment 6
kill_and_resume small --augment 2 --deflate 3 --storage int8

# Two shards merged equal one run; the merged file says when a part is gone.
run 0 "${collect[@]}" --out part2.h5 --shard 2/2
run 0 "${collect[@]}" --out part1.h5 --shard 1/2
run 2 "$tool" --out all.h5 --merge part1.h5
run 0 "$tool" --out all.h5 --merge part2.h5 part1.h5
says out "all.h5: 400 rows"
run 0 "$bin/cachectl-inspect" all.h5 --verify
if command -v h5diff >/dev/null; then
  run 0 h5diff m.h5 all.h5 /layers/layer2
  run 0 h5diff m.h5 all.h5 /pd
  run 0 h5diff m.h5 all.h5 /rows
fi
mv part1.h5 hidden.h5
run 3 "$tool" --out more.h5 --merge all.h5 m.h5
says err "which is not there"

# A full disk leaves nothing: found before the work, or in the middle of it.
if [ "$(id -u)" = 0 ] && mkdir disk && mount -t tmpfs -o size=1m tmpfs disk 2>/dev/null; then
  trap 'umount "$scratch/disk"; rm -rf "$scratch"' EXIT
  run 3 "${collect[@]}" --out disk/m.h5
  says err "the disk has"
  [ -z "$(ls disk)" ]
  mount -o remount,size=3m disk
  # Compressed it is expected to fit, until something else takes the space.
  run 3 "${collect[@]}" --out disk/m.h5 --deflate 9 --storage float32
  [ -z "$(ls disk)" ]
  mount -o remount,ro disk
  run 3 "${collect[@]}" --out disk/m.h5
  [ -z "$(ls disk)" ]
fi
( ulimit -f 600; exec "${collect[@]}" --out limited.h5 >out 2>err ) && exit 1
says err "nothing was left behind"
[ -z "$(find . -name 'limited*')" ]
