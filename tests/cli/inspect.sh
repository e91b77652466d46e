# cachectl-inspect on every kind of file there is, for people and as JSON.
. "$(dirname "$0")/support.sh"
golden=$source_dir/tests/golden
python=/usr/bin/python3

for file in "$golden"/*.h5; do
  run 0 "$bin/cachectl-inspect" "$file" --verify
  says out "How it was made"
  says out "Key figures"
  says out "Objects"
  says out "Verified"
  empty err
  run 0 "$bin/cachectl-inspect" "$file" --json
  empty err
  "$python" - out <<'P'
import json, sys
shown = json.load(open(sys.argv[1]))
figures, kind = shown["figures"], shown["kind"]
assert shown["provenance"]["content_hash"] and shown["objects"]
wanted = {
    "profile": lambda f: f["candidates"] == 3 and f["flops"] == 4e7 and f["plain_ms"]["batch 8"] == 180,
    "medial": lambda f: f["rows"] == 30 and list(f["layers"]) == ["early", "late"],
    "labels": lambda f: f["classes"] == 5 and f["unknown"] == 1,
    "study": lambda f: f["trials"] == 5 and f["failed"] == 1
    and f["chosen"]["layer1"]["architecture"] == "conv3x3/2-8, pool2",
    "caches": lambda f: f["caches"]["layer1"]["validation_agreement"] == 0.8,
    "plan": lambda f: f["plans"]["batch 1"]["certificate"]["p_value"] == 0.04
    and f["plans"]["batch 1"]["thresholds"] == {"layer1": 0.75, "layer2": 0.5},
    "report": lambda f: 0.9 < f["plans"]["any batch"]["agreement"] < 1
    and f["latency"]["batch 1"]["plain_ms"] > 0,
    "checkpoint": lambda f: f["epochs_done"] == 1,
}
assert wanted[kind](figures), figures
P
done
# A name that is no UTF-8.
cp "$golden/plan-1.h5" $'caf\xe9.h5'
run 0 "$bin/cachectl-inspect" $'caf\xe9.h5' --json
"$python" -c 'import json; assert json.load(open("out"))["kind"] == "plan"'
echo "$(ls "$golden"/*.h5 | wc -l) files of $(ls "$golden" | sed -n 's/-.*\.h5//p' | sort -u | wc -l) kinds"
