# cachectl-eval: tables, JSON, CSV, report.h5 and the page, from a small plan; and misuse.
. "$(dirname "$0")/support.sh"
"${CACHECTL_BUILD:?the build folder}/tests/make_cached_backbone" "$scratch"
tool="$bin/cachectl-eval --config config.yaml --backbone backbone.pt --plan plan.h5 --threads 1"

run 0 $tool --timing=false --batches 4 --out report.h5 --html report.html --csv tables
says out "agreement with the backbone"
says out "effect on accuracy"
says out "Plan for any batch, 120 samples, 120 with labels"
says err "120/120 samples"
for table in plans exits alone reliability memory latency trade; do
  [ -s "tables/$table.csv" ]
done
[ "$(wc -l <tables/exits.csv)" -eq 5 ]
grep -q '</html>' report.html
run 0 "$bin/cachectl-inspect" report.h5
says out "report"

run 0 $tool --repeats 12 --curve-repeats 0 --batches 1,4 --json
python3 - out <<'PY'
import json, sys
report = json.load(open(sys.argv[1]))
exits = report["plans"][0]["exits"]
assert sum(exit["hits"] for exit in exits) == report["samples"] == 120
assert [row["batch"] for row in report["latency"]] == [1, 4]
assert all(row["repeats"] == 12 for row in report["latency"])
PY

run 0 $tool --timing=false --use-labels=false
says err "no labels"
says out "The samples have no labels"

# An existing report stays; another split would measure on what the plan has seen.
run 3 $tool --timing=false --out report.h5
says err "--force"
run 5 $tool --timing=false --seed 9
says err "samples to evaluate on served"
empty out
run 5 $tool --timing=false --all-samples
says err "served to train its cache models"
run 2 $tool --timing=false --batches 0
run 2 "$bin/cachectl-eval" --config config.yaml --backbone backbone.pt
says err "--plan"

# A plan for another backbone is refused; both are named.
"$bin/cachectl-backbone" train --arch resnet8 --data-samples 64 --data-image-size 16 --epochs 1 \
  --batch-size 32 --out other.pt >/dev/null 2>&1
run 5 $tool --timing=false --backbone other.pt
says err "plan.h5"
