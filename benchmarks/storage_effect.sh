#!/usr/bin/env bash
# storage_effect.sh BACKBONE.pt DATA.bin [SAMPLES] [EPOCHS]: what the stored dtype of the
# activations does to the cache models trained on them. For each dtype the same samples are
# collected and the same cache models trained from the same seed; printed are the file's size and
# the agreement with the backbone on the validation part, per layer. CACHECTL_BIN: the executables;
# LAYERS, ARCHITECTURE, SEEDS and KIND (of the data) may be set.
set -euo pipefail
[ $# -ge 2 ] || { sed -n 2,6p "$0" >&2; exit 2; }
backbone=$1 data=$2 samples=${3:-4000} epochs=${4:-15}
bin=${CACHECTL_BIN:-build/bin}
layers=${LAYERS:-layer1.0 layer2.0 layer3.0}
architecture=${ARCHITECTURE:-conv3x3/2-32, pool2, fc128}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
options=(--data-kind "${KIND:-cifar10}" --data-path "$data" --log-level warning --force
  --data-mean 0.485,0.456,0.406 --data-std 0.229,0.224,0.225)
chosen=()
for layer in $layers; do chosen+=("$layer=$architecture"); done
# shellcheck disable=SC2086
for storage in float32 float16 bfloat16 int8; do
  "$bin/cachectl-collect" "${options[@]}" --backbone "$backbone" --storage $storage \
    --max-samples "$samples" --layers $layers --out "$folder/m.h5" >/dev/null
  size=$(stat -c %s "$folder/m.h5")
  for seed in ${SEEDS:-1 2 3}; do
    "$bin/cachectl-train" --medial "$folder/m.h5" --architectures "${chosen[@]}" \
      --epochs "$epochs" --seed "$seed" --log-level warning --force --json \
      --out "$folder/c.h5" >"$folder/out.json"
    /usr/bin/python3 - "$folder/c.h5" "$storage" "$size" "$seed" <<'PY'
import sys
import h5py

path, storage, size, seed = sys.argv[1:]
with h5py.File(path) as file:
    found = []
    for name in sorted(file["caches"]):
        attributes = file["caches"][name].attrs
        layer = attributes["layer"]
        layer = layer.decode() if isinstance(layer, bytes) else layer
        found.append(f"{layer} {100 * attributes['validation_agreement']:.2f} %")
print(f"{storage:9} {int(size) / 2**20:8.1f} MiB  seed {seed}  " + "  ".join(found), flush=True)
PY
  done
done
