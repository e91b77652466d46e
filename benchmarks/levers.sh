#!/usr/bin/env bash
# levers.sh DATA OUT [NAME...]: what one change to the training of cache models buys, on three layers
# of CIFAR-100's ResNet-56: half of the set to learn from, 4,800 samples to compare by. Recipes for
# CIFAR-10 may be chosen here; an experiment on CIFAR-100 is not apart from such a choice. One training
# after the other, two to six minutes each on two cores, into the folder OUT; those that are there
# already, of as many epochs, are not repeated. Prints, as Markdown, the share of samples on which a cache
# model agrees with the backbone.
#
# BUILD: build folder; EPOCHS (45)
set -euo pipefail
[ $# -ge 2 ] || { sed -n 2,9p "$0" >&2; exit 2; }
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
bin=${BUILD:-$root/build}/bin
data=$1
mkdir -p "$2"
out=$(readlink -f "$2")
shift 2
config=$out/config.yaml
epochs=${EPOCHS:-45}
cat >"$config" <<YAML
seed: 5
backbone: {path: backbones/cifar100-resnet56.pt}
data:
  kind: cifar100
  path: cifar100
  mean: [0.5070, 0.4865, 0.4409]
  std: [0.2673, 0.2564, 0.2761]
split: {train: 0.5, validation: 0.48, certify: 0.01, test: 0.01}
augment: {flip: true, shift: 4, mixup: 1, mixup_share: 0.5, cutmix: 0}
collect:
  storage: float16
  layers: [layer1.5, layer2.5, layer3.2]
train:
  architectures:
    layer1.5: pool2, conv3x3-32, pool2, conv3x3-64, res3x3, pool2, fc256
    layer2.5: pool2, conv3x3-64, pool2, res3x3, fc256
    layer3.2: pool2, conv3x3-56, pool2, fc128
  epochs: $epochs
  online_augment: true
  validate_every: 15
YAML
common=(--config "$config" --data-root "$data" --log-level warning --force)
if [ ! -f "$out/medial.h5" ]; then
  "$bin/cachectl-profile" "${common[@]}" --out "$out/profile.h5" >/dev/null
  "$bin/cachectl-collect" "${common[@]}" --profile "$out/profile.h5" --out "$out/medial.h5" >/dev/null
fi

# Flags, with | between them. What a lever is compared with is `none`.
fixed='conv3x3/2-64, conv3x3/2-96, pool2'
declare -A change=(
  [none]=""
  [fixed-heads]="--architectures|layer1.5=$fixed|--architectures|layer2.5=$fixed|--architectures|layer3.2=conv3x3/2-64, pool2"
  [no-views]="--no-online-augment"
  [mixup-on-all]="--augment-mixup-share|1"
  [cutmix-on-half]="--augment-cutmix|0.5"
  [cutmix-on-nine-in-ten]="--augment-cutmix|0.9"
  [twice-the-rate]="--learning-rate|0.006"
  [views-in-float32]="--view-precision|float32"
  [cascade]="--cascade"
  [120-epochs]="--epochs|120"
)
names=(none fixed-heads no-views mixup-on-all cutmix-on-half cutmix-on-nine-in-ten twice-the-rate views-in-float32 cascade
  120-epochs)
if [ $# -gt 0 ]; then names=("$@"); fi
for name in "${names[@]}"; do
  [ -n "${change[$name]+known}" ] || { echo "levers.sh: $name: known are ${!change[*]}" >&2; exit 2; }
  file=$out/$name-$epochs
  [ -f "$file.json" ] && continue
  echo "$name" >&2
  IFS="|" read -ra flags <<<"${change[$name]}"
  "$bin/cachectl-train" "${common[@]}" --medial "$out/medial.h5" --out "$file.h5" --json \
    "${flags[@]}" >"$file.json.new"
  mv "$file.json.new" "$file.json"
done
/usr/bin/python3 - "$out" "$epochs" "${names[@]}" <<'PY'
import json, sys
runs = {name: json.load(open(f"{sys.argv[1]}/{name}-{sys.argv[2]}.json")) for name in sys.argv[3:]}
layers = [head["layer"] for head in next(iter(runs.values()))]
print("| change | " + " | ".join(layers) + " |\n|" + " --- |" * (len(layers) + 1))
for name, heads in runs.items():
    print(f"| {name} | " + " | ".join(f"{100 * head['validation_agreement']:.1f} %" for head in heads) + " |")
PY
