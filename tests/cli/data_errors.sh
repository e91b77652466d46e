# Broken data sets, through an executable: message on stderr, exit status, nothing on stdout,
# and an output that was there before stays as it was.
. "$(dirname "$0")/support.sh"

echo "kept" > net.pt
# refused STATUS TEXT FLAGS...
refused() {
  local status=$1 text=$2
  shift 2
  run "$status" "$bin/cachectl-backbone" train --arch resnet8 --epochs 1 --batch-size 4 \
    --out net.pt --force "$@"
  says err "$text"
  empty out
  [ "$(cat net.pt)" = kept ] || { echo "net.pt was changed" >&2; return 1; }
}

# records COUNT LABEL [PIXELS]: CIFAR-10 records of zero bytes behind the label
records() {
  local i
  for ((i = 0; i < $1; i++)); do
    printf "\\x$2"
    head -c "${3:-3072}" /dev/zero | tr '\0' "\\$((i % 8))"
  done
}

refused 3 "none.bin: no such file" --data-kind cifar10 --data-path none.bin
: > empty.bin
refused 4 "empty.bin: the file is empty" --data-kind cifar10 --data-path empty.bin
{ records 3 01; records 1 01 100; } > cut.bin
refused 4 "cut.bin: record 3 is cut: 101 bytes of 3073" --data-kind cifar10 --data-path cut.bin
{ records 2 05; records 1 0b; } > label.bin
refused 4 "label.bin: record 2: label 11; expected 0 to 9" --data-kind cifar10 --data-path label.bin
head -c $((3074 * 2)) /dev/zero > hundred.bin
refused 5 "set data.kind to it" --data-kind cifar10 --data-path hundred.bin
refused 2 "data.path: needed" --data-kind cifar10
refused 2 "data.kind is synthetic" --data-path cut.bin
refused 2 "did you mean 'cifar10'?" --data-kind cifr10

mkdir -p photos/cat photos/dog
for class in cat dog; do
  for i in 1 2 3 4; do echo "no image" > photos/$class/$i.png; done
done
refused 4 "is neither PNG nor JPEG" --data-kind folder --data-path photos
refused 6 "samples are bad" --data-kind folder --data-path photos --skip-bad
refused 2 "did you mean 'resize'?" --data-kind folder --data-path photos --data-transform "resise 32"
mkdir bare
refused 6 "holds no sample" --data-kind folder --data-path bare

printf 'PK\003\004 and more of it' > a.npy
refused 4 "an .npz holds several" --data-kind npy --data-path a.npy --data-labels b.npy
refused 4 "a.npy" --data-kind hdf5 --data-path a.npy --data-labels /labels
cat > broken.yaml <<'Y'
data:
  kind: cifar10
  pathh: cut.bin
Y
refused 2 "did you mean 'data.path'?" --config broken.yaml

# The same with --skip-bad: counted, and the rest is used.
{ records 12 01; records 1 0b; records 11 02; records 1 01 100; } > mixed.bin
run 0 "$bin/cachectl-backbone" train --arch resnet8 --epochs 1 --batch-size 4 --held-out 0.3 \
  --out new.pt --data-kind cifar10 --data-path mixed.bin --skip-bad
says err "record 24 is cut"
says err "record 12: label 11; expected 0 to 9"
says err "skipped 1 bad labels of 24"
[ -s new.pt ]
