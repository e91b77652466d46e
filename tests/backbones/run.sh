#!/usr/bin/env bash
# Models of other hands, exported by torchvision with random weights: each is loaded, cut at
# all candidates and compared with LibTorch's own run; multiply-accumulates are compared with
# the published ones. Needs python3-torch and python3-torchvision; 77 (skipped) without.
#
#   run.sh [NAME...]      CHECK: the check_backbone to use
set -u
here=$(cd "$(dirname "$0")" && pwd)
check=${CHECK:-$here/../../build/tests/check_backbone}
python=${PYTHON:-/usr/bin/python3}
if ! "$python" -c 'import torch, torchvision' 2> /dev/null; then
  echo "skipped: $python has no torch and torchvision" >&2
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Published multiply-accumulates at 224x224 (torchvision's tables; convolutions and matrix
# products only, without norms, activations, pooling).
published() {
  case $1 in
    resnet18) echo 1.81e9 ;;
    resnet50) echo 4.09e9 ;;
    vgg11) echo 7.61e9 ;;
    mobilenet_v2) echo 0.30e9 ;;
    efficientnet_b0) echo 0.386e9 ;;
    densenet121) echo 2.83e9 ;;
    vit_b_16) echo 17.56e9 ;;
    convnext_tiny) echo 4.46e9 ;;
    swin_t) echo 4.49e9 ;;
    regnet_y_400mf) echo 0.40e9 ;;
    googlenet) echo 1.50e9 ;;
    shufflenet_v2_x1_0) echo 0.145e9 ;;
    mobilenet_v3_large) echo 0.217e9 ;;
    mobilenet_v3_small) echo 0.057e9 ;;
  esac
}
input() {
  case $1 in
    text) echo 32:int64:1000 ;;
    padded_text) echo 32:int64:1000,32 ;;
    *) echo 3x224x224 ;;
  esac
}

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  names=(resnet18 resnet50 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large efficientnet_b0 vgg11
         densenet121 googlenet shufflenet_v2_x1_0 regnet_y_400mf convnext_tiny swin_t vit_b_16
         text padded_text)
fi
failed=0
for name in "${names[@]}"; do
  for way in scripted traced; do
    file=$folder/$name.pt
    if ! "$python" -W ignore "$here/export.py" "$name" "$way" "$file" 2> "$folder/log"; then
      echo "$name $way: the export failed: $(tail -1 "$folder/log")"
      failed=1
      continue
    fi
    # shellcheck disable=SC2046
    if line=$("$check" "$file" "$(input "$name")" $(published "$name") 2> "$folder/log"); then
      echo "ok   $name $way: $line"
    else
      echo "FAIL $name $way: $line"
      cat "$folder/log"
      failed=1
    fi
    rm -f "$file"
  done
done
exit $failed
