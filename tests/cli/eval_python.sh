# What cachectl-eval says of a plan, computed again by Python's torch from the same files.
. "$(dirname "$0")/support.sh"
python=/usr/bin/python3
"$python" -c 'import torch, h5py, numpy' 2>/dev/null || skip "python3-torch or python3-h5py is missing"
for kind in "" cascade; do
  "${CACHECTL_BUILD:?the build folder}/tests/make_cached_backbone" "$scratch" $kind
  run 0 "$bin/cachectl-eval" --config config.yaml --backbone backbone.pt --plan plan.h5 --threads 1 --timing=false --json
  "$python" "$source_dir/tests/cli/eval_python.py" "$scratch" out
  rm plan.h5
done
