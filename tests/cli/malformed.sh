# Malformed files and configurations, each given to a tool that reads it: a message that names
# the fault, the exit status, nothing on stdout, and an output that was there stays as it was.
. "$(dirname "$0")/support.sh"
golden=$source_dir/tests/golden
kinds=0

# refused STATUS TEXT TOOL FLAGS...: out.h5 is there before, and may be overwritten.
refused() {
  local status=$1 text=$2 tool=$3
  shift 3
  echo "kept" >out.h5
  run "$status" "$bin/cachectl-$tool" "$@" --out out.h5 --force
  says err "$text"
  empty out
  [ "$(cat out.h5)" = kept ] || { echo "$tool changed its output: $*" >&2; return 1; }
  [ -z "$(ls .out.h5* out.h5.* 2>/dev/null)" ] || { echo "$tool left files: $(ls -a)" >&2; return 1; }
  kinds=$((kinds + 1))
}

# --- artifacts: for each kind, a tool that reads it first of all -----------------------------
reading() { # KIND -> the tool and flags that read bad.h5 as this kind
  case $1 in
    profile) echo search --medial "$golden/medial-1.h5" --profile bad.h5 ;;
    medial | medial_int8_deflated) echo train --medial bad.h5 --architectures late=linear ;;
    study) echo train --medial "$golden/medial-1.h5" --study bad.h5 ;;
    caches) echo calibrate --medial "$golden/medial-1.h5" --caches bad.h5 ;;
    calibrated) echo select --medial "$golden/medial-1.h5" --caches bad.h5 \
      --profile "$golden/profile-1.h5" ;;
    plan) echo select --medial "$golden/medial-1.h5" --caches "$golden/calibrated-1.h5" \
      --profile "$golden/profile-1.h5" --verify bad.h5 ;;
  esac
}
flip() { # FILE POSITION
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1")
  printf "\\x$(printf %02x $((byte ^ 16)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
for kind in profile medial medial_int8_deflated study caches calibrated plan; do
  valid=$golden/$kind-1.h5
  size=$(stat -c %s "$valid")
  read -r -a tool <<<"$(reading "$kind")"
  rm -rf bad.h5
  refused 3 "bad.h5: no such file" "${tool[@]}"
  mkdir bad.h5
  refused 3 "bad.h5: is a folder" "${tool[@]}"
  rmdir bad.h5
  : >bad.h5
  refused 4 "bad.h5: is no HDF5 file" "${tool[@]}"
  echo "some text" >bad.h5
  refused 4 "bad.h5: is no HDF5 file" "${tool[@]}"
  head -c $((size / 2)) "$valid" >bad.h5
  refused 4 "bad.h5: $((size / 2)) bytes, expected $size" "${tool[@]}"
  head -c 30 "$valid" >bad.h5
  refused 4 "bad.h5: its bytes differ" "${tool[@]}"
  { cat "$valid"; echo; } >bad.h5
  refused 4 "bad.h5: its bytes differ" "${tool[@]}"
  cp "$valid" bad.h5 && flip bad.h5 3
  refused 4 "bad.h5: is no HDF5 file" "${tool[@]}"
  cp "$valid" bad.h5 && flip bad.h5 4200
  refused 4 "bad.h5: its bytes differ" "${tool[@]}"
  cp "$golden/labels-1.h5" bad.h5
  refused 5 "bad.h5: is a labels file" "${tool[@]}"
done

# What only someone who can write HDF5 can do: files without a seal, edited.
python=/usr/bin/python3
edited() { # STATUS TEXT PYTHON: the plan after `f` was edited
  cp "$golden/plan-1-unsealed.h5" bad.h5
  "$python" -c "import h5py, numpy
with h5py.File('bad.h5', 'r+') as f: $3"
  read -r -a tool <<<"$(reading plan)"
  refused "$1" "$2" "${tool[@]}"
}
edited 5 "format is version 99" "f.attrs['format_version'] = numpy.int64(99)"
edited 5 "make it anew" "f.attrs['format_version'] = numpy.int64(0)"
edited 4 "not one of cachectl's" "f.attrs['magic'] = 'other'"
edited 4 "not one of cachectl's" "del f.attrs['magic']"
edited 4 "kind 'plam' is none" "f.attrs['kind'] = 'plam'"
edited 4 "'kind' is missing" "del f.attrs['kind']"
edited 4 "/provenance: is missing" "del f['provenance']"
edited 4 "contradict each other" "f.attrs['seed'] = numpy.int64(7)"
edited 4 "differ from the hash" "f['ids/certify'][0] = 8"
edited 4 "differ from the hash" "del f['caches/0001']"
edited 4 "expected whole numbers" "f.attrs['seed'] = 'one'"
edited 4 "in a circle" "f['a'] = h5py.SoftLink('/')"

# Files that do not belong together.
refused 5 "do not belong together" select --medial "$golden/medial-1.h5" \
  --caches "$golden/calibrated-1.h5" --profile "$golden/profile-1.h5"
refused 5 "no layer" train --medial "$golden/medial-1.h5" --architectures lately=linear

# --- backbones --------------------------------------------------------------------------------
backbone() { refused "$1" "$2" profile --backbone bad.pt; }
rm -f bad.pt
backbone 3 "bad.pt: no such file"
: >bad.pt
backbone 4 "bad.pt"
echo "some text" >bad.pt
backbone 4 "bad.pt"
cp "$golden/plan-1.h5" bad.pt
backbone 4 "bad.pt"
"$bin/cachectl-backbone" train --arch resnet8 --data-samples 64 --data-image-size 16 --epochs 1 \
  --batch-size 32 --precision float32 --threads 1 --out whole.pt >/dev/null 2>&1
head -c $(($(stat -c %s whole.pt) / 2)) whole.pt >bad.pt
backbone 4 "bad.pt"

# --- configurations ---------------------------------------------------------------------------
# yaml STATUS TEXT LINES...
yaml() {
  local status=$1 text=$2
  shift 2
  printf '%b\n' "$@" >c.yaml
  refused "$status" "$text" labels --config c.yaml
}
yaml 2 "c.yaml:1: unknown key 'sede'; did you mean 'seed'?" 'sede: 3'
yaml 2 "c.yaml:2: key 'seed' is given twice" 'seed: 3' 'seed: 4'
yaml 2 "is no YAML" 'seed: [1, 2'
yaml 2 "is no YAML" 'data:\n\tkind: synthetic'
yaml 2 "c.yaml:1: seed: 'open" "seed: 'open"
yaml 2 "is no YAML" 'a: b: c'
yaml 2 "expected sections with keys" '- a' '- b'
yaml 2 "expected sections with keys" 'just words'
yaml 2 "c.yaml:1: seed" 'seed: {a: 1}'
yaml 2 "c.yaml:1: seed: 'lots': expected a whole number" 'seed: lots'
yaml 2 "expected a whole number" 'seed: 1.5'
yaml 2 "threads" 'threads: -1'
yaml 2 "threads" 'threads: 99999999999999999999'
yaml 2 "c.yaml:2" 'data:' '  kind: [synthetic, cifar10]'
yaml 2 "did you mean 'cifar10'?" 'data:' '  kind: cifr10'
yaml 2 "did you mean 'data.samples'?" 'data:' '  sampels: 5'
yaml 2 "data.samples" 'data:' '  samples: 0'
yaml 2 "data.samples" 'data:' '  samples: many'
yaml 2 "data.difficulty" 'data:' '  difficulty: .nan'
yaml 2 "data.difficulty" 'data:' '  difficulty: 1e999'
yaml 2 "data.skip_bad" 'data:' '  skip_bad: perhaps'
yaml 2 "data" 'data: 5'
yaml 2 "data" 'data: [kind]'
yaml 2 "log_level" 'log_level: loud'
yaml 2 "unknown key 'dataa'" 'dataa:' '  kind: synthetic'
rm c.yaml
refused 3 "c.yaml: no such configuration file" labels --config c.yaml
mkdir c.yaml
refused 3 "c.yaml" labels --config c.yaml
rmdir c.yaml
head -c 4096 /dev/urandom >c.yaml
refused 2 "c.yaml" labels --config c.yaml

echo "$kinds malformed inputs refused, no output touched"
