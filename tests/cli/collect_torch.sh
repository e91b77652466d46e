# h5py reads every object as docs/formats/medial.md says, and MD_L of some samples equals what
# python3-torch computes with the same file.
. "$(dirname "$0")/support.sh"
python=${CACHECTL_PYTHON:-/usr/bin/python3}
"$python" -c 'import torch, h5py' 2>/dev/null || skip "no python3 with torch and h5py"
"$bin/cachectl-backbone" train --arch resnet8 --data-samples 96 --data-image-size 16 --epochs 1 \
  --batch-size 32 --precision float32 --threads 1 --out backbone.pt >/dev/null 2>&1
"$python" - <<'PY'
import numpy
numpy.save("inputs.npy", numpy.random.default_rng(1).normal(size=(60, 3, 16, 16)).astype("f4"))
PY
for layout in "--storage float32" "--storage float16" "--storage bfloat16" "--storage int8" \
  "--storage float16 --deflate 4"; do
  run 0 "$bin/cachectl-collect" --backbone backbone.pt --data-kind npy --data-path inputs.npy \
    --out m.h5 --force $layout
  run 0 "$python" "$source_dir/tests/cli/collect_torch.py" m.h5 backbone.pt inputs.npy
  cat out
done
