# cachectl-profile: the table, JSON, the file, and answers to files that are no backbones.
. "$(dirname "$0")/support.sh"
profile=$bin/cachectl-profile
backbone=$bin/cachectl-backbone
[ -x "$backbone" ] || skip "no cachectl-backbone to make a backbone with"

"$backbone" train --arch resnet8 --data-samples 64 --data-image-size 16 --epochs 1 --batch-size 32 \
  --threads 1 --no-provenance --out small.pt >/dev/null 2>&1

run 0 "$profile" --backbone small.pt --inputs 3x16x16 --batch-sizes 1,4 --repeats 5 --threads 1 \
  --out profile.h5
says out "FLOPs before"
says out "ms before @4"
says out "with all candidates cut"
run 3 "$profile" --backbone small.pt --inputs 3x16x16 --out profile.h5
says err "profile.h5"
run 0 "$profile" --backbone small.pt --inputs 3x16x16 --batch-sizes 2 --repeats 5 --threads 1 --json \
  --force --out profile.h5
python3 - <<'PYTHON'
import json
found = json.load(open("out"))
candidates, segments = found["candidates"], found["segments"]
assert candidates and len(segments) == len(candidates) + 1
assert abs(sum(s["flops"] for s in segments) - found["flops"]) < 1
before = [c["flops_before"] for c in candidates]
assert before == sorted(before)
for c in candidates:
    assert abs(c["flops_before"] + c["flops_after"] - found["flops"]) < 1
    assert c["before"][0]["median_ms"] > 0
assert found["uncounted_operators"] == []
PYTHON

# Data without a folder: the synthetic set has the right sizes when it is told.
run 0 "$profile" --backbone small.pt --data-kind synthetic --data-image-size 16 --batch-sizes 1 \
  --repeats 5 --threads 1 --out synthetic.h5

run 3 "$profile" --backbone missing.pt --inputs 3x16x16 --out x.h5
says err "missing.pt"
echo "no model" >text.pt
run 4 "$profile" --backbone text.pt --inputs 3x16x16 --out x.h5
says err "text.pt: not a TorchScript file"
empty out
head -c 20000 small.pt >cut.pt
run 4 "$profile" --backbone cut.pt --inputs 3x16x16 --out x.h5
says err "cut.pt"
run 5 "$profile" --backbone small.pt --inputs 7x16x16 --out x.h5
says err "forward fails on these inputs (7x16x16 each)"
run 2 "$profile" --backbone small.pt --inputs 3xbig --out x.h5
says err "3xbig"
run 2 "$profile" --backbone small.pt --inputs 3x16x16 --precision float7 --out x.h5
[ ! -e x.h5 ]
