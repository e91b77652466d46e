# The zoo's architectures agree with torchvision: names and outputs.
. "$(dirname "$0")/support.sh"

script=$source_dir/tests/cli/backbone_torchvision.py
python=${CACHECTL_PYTHON:-/usr/bin/python3}
"$python" -c 'import torch, torchvision' 2>/dev/null ||
  skip "no torch and torchvision for $python (apt: python3-torch python3-torchvision)"
run 0 "$python" -W ignore "$script" "$bin/cachectl-backbone"
cat out
says out "vit_small at 32"
