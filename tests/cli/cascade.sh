# A cascade through a whole small chain: trained, calibrated, certified, verified, evaluated; and
# what selection says when a link is missing.
. "$(dirname "$0")/support.sh"

cat >c.yaml <<'YAML'
backbone: {path: b.pt}
data: {kind: synthetic, samples: 3000, image_size: 16, mean: [0.5], std: [0.25]}
profile: {batch_sizes: [1, 8], repeats: 5}
train:
  epochs: 6
  cascade: true
  architectures: {relu@1: pool4, layer1: pool2, layer2: "conv3x3/2-32"}
select: {epsilon: 0.1}
eval: {batches: [4], timing: false}
YAML
common="--config c.yaml --no-provenance"
run 0 "$bin/cachectl-backbone" train --arch resnet8 --data-samples 600 --data-image-size 16 \
  --data-mean 0.5 --data-std 0.25 --epochs 8 --threads 1 --precision float32 --out b.pt
run 0 "$bin/cachectl-profile" $common --threads 1 --out profile.h5
run 0 "$bin/cachectl-collect" $common --threads 1 --profile profile.h5 --out medial.h5

# The same on any number of threads; each takes the logits of the one in front.
run 0 "$bin/cachectl-train" $common --threads 1 --medial medial.h5 --out one.h5
run 0 "$bin/cachectl-train" $common --threads 2 --medial medial.h5 --out caches.h5 --json
cmp one.h5 caches.h5
says out '"prior": ""'
says out '"prior": "relu@1"'
says out '"prior": "layer1"'
run 0 "$bin/cachectl-inspect" caches.h5

common="$common --threads 1"
run 0 "$bin/cachectl-calibrate" $common --medial medial.h5 --caches caches.h5 --out cal.h5
files="--medial medial.h5 --profile profile.h5 --caches cal.h5"
run 0 "$bin/cachectl-select" $common $files --out plan.h5
run 0 "$bin/cachectl-select" $common --medial medial.h5 --verify plan.h5 --part test
says out "verdict"
run 0 "$bin/cachectl-select" $common $files --out flat.h5 --epsilon 0 --require layer1
says out "relu@1"
run 2 "$bin/cachectl-select" $common $files --out x.h5 --require layer2 --forbid relu@1
says err "'layer1' is required and takes the logits of 'relu@1', which is forbidden"
[ ! -e x.h5 ]

# What is evaluated is what was selected: the plan predicts its saving on validation, the test
# part is near. All cache models are measured alone, those behind the plan's too.
for plan in plan flat; do
  run 0 "$bin/cachectl-eval" $common --plan $plan.h5 --caches cal.h5 --json --csv $plan.csv
  cp out $plan.json
  [ "$(cut -d, -f1 $plan.csv/alone.csv | sort -u | wc -l)" -eq 4 ] # with the header
done
python3 - plan.json flat.json <<'PY'
import json, sys
for path in sys.argv[1:]:
    report = json.load(open(path))
    plan = report["plans"][0]
    layers = [exit["layer"] for exit in plan["exits"]]
    assert layers == ["relu@1", "layer1", "layer2"][: len(layers) - 1] + ["backbone"], layers
    saved = 1 - plan["flops_cached"] / plan["flops_plain"]
    assert abs(saved - plan["predicted_saving"]) < 0.08, (saved, plan["predicted_saving"])
PY
