# cachectl-calibrate and cachectl-select over a whole small chain: a certificate, its
# test on fresh samples, limits, equal bytes, and misuse.
. "$(dirname "$0")/support.sh"

cat >c.yaml <<'EOF'
backbone: {path: b.pt}
data: {kind: synthetic, samples: 3000, image_size: 16, mean: [0.5], std: [0.25]}
profile: {batch_sizes: [1, 8], repeats: 5}
select: {epsilon: 0.1}
EOF
common="--config c.yaml --threads 1 --no-provenance"
run 0 "$bin/cachectl-backbone" train --arch resnet8 --data-samples 600 --data-image-size 16 \
  --data-mean 0.5 --data-std 0.25 --epochs 8 --threads 1 --precision float32 --out b.pt
run 0 "$bin/cachectl-profile" $common --out profile.h5
run 0 "$bin/cachectl-collect" $common --profile profile.h5 --out medial.h5
run 0 "$bin/cachectl-train" $common --medial medial.h5 --epochs 6 --out caches.h5 \
  --architectures layer1=pool2 layer2="conv3x3/2-32"

# Selection asks for calibration first.
files="--medial medial.h5 --profile profile.h5"
run 5 "$bin/cachectl-select" $common $files --caches caches.h5 --out plan.h5
says err "run cachectl-calibrate first"

run 0 "$bin/cachectl-calibrate" $common --medial medial.h5 --caches caches.h5 --out cal.h5 \
  --curves curves.csv
says out "temperature"
head -1 curves.csv >first
says first "layer,threshold,hit_rate,cache_accuracy,drop"
run 0 "$bin/cachectl-calibrate" $common --medial medial.h5 --caches caches.h5 --out again.h5 --json
says out '"ece_after"'
cmp cal.h5 again.h5

# A plan with a certificate; equal runs give equal bytes.
run 0 "$bin/cachectl-select" $common $files --caches cal.h5 --out plan.h5 --json
says out '"certificate"'
run 0 "$bin/cachectl-select" $common $files --caches cal.h5 --out plan2.h5
cmp plan.h5 plan2.h5
run 3 "$bin/cachectl-select" $common $files --caches cal.h5 --out plan.h5
says err "--force"

# It is verified on the test part, and not on samples it was made from.
run 0 "$bin/cachectl-select" $common --medial medial.h5 --verify plan.h5 --part test
says out "verdict"
run 5 "$bin/cachectl-select" $common --medial medial.h5 --verify plan.h5
says err "a plan is verified on samples it has not met"

# Too few samples: the empty plan, and how many it would take.
run 0 "$bin/cachectl-select" $common $files --caches cal.h5 --out few.h5 --epsilon 0.0001
says out "the plan is empty"

# Everything forbidden: said plainly.
run 0 "$bin/cachectl-select" $common $files --caches cal.h5 --out none.h5 --epsilon 0 \
  --forbid layer1,layer2
says out "caching does not pay here"

# A plan for each batch under latency, timed with the backbone or apart from it.
run 0 "$bin/cachectl-select" $common $files --caches cal.h5 --out latency.h5 --cost latency \
  --batch 1,8
says out "batch 8:"
says err "/30 rounds"  # as many as fit into its time
sed 's/^backbone:.*//' c.yaml >apart.yaml
run 0 "$bin/cachectl-select" --config apart.yaml --threads 1 $files --caches cal.h5 \
  --out apart.h5 --cost latency --batch 1,8
says out "batch 8:"
says err "without --backbone"
run 0 "$bin/cachectl-backbone" train --arch resnet8 --data-samples 100 --data-image-size 16 \
  --epochs 1 --threads 1 --precision float32 --out other.pt
run 5 "$bin/cachectl-select" $common $files --caches cal.h5 --out x.h5 --cost latency --batch 1 \
  --backbone other.pt
says err "is not the backbone that profile.h5 was made of"

run 2 "$bin/cachectl-select" $common $files --caches cal.h5 --out x.h5 --budget thirds
run 2 "$bin/cachectl-select" $common $files --caches cal.h5 --out x.h5 --require laier1
says err "did you mean 'layer1'?"
run 2 "$bin/cachectl-select" $common --medial medial.h5 --out x.h5
[ ! -e x.h5 ]
