# cachectl-backbone: the list, training that is killed and resumed, import, info, and misuse.
. "$(dirname "$0")/support.sh"
tool=$bin/cachectl-backbone

run 0 "$tool" list
says out "resnet56"
says out "3x224x224"
empty err
run 0 "$tool" list --json
says out '"parameters": 11689512'

# Training: equal runs give equal bytes; a run that was killed goes on to the same file.
train() {
  "$tool" train --arch resnet8 --data-samples 240 --data-image-size 16 --epochs 8 --batch-size 32 \
    --precision float32 --threads 1 --no-provenance "$@"
}
run 0 train --out whole.pt
says out "held-out accuracy"
says err "epoch 8/8"
train --out cut.pt >/dev/null 2>&1 &
victim=$!
for _ in $(seq 2000); do
  [ -e cut.pt.partial ] && break
  sleep 0.01
done
kill -9 "$victim"
wait "$victim" 2>/dev/null || true
[ -e cut.pt.partial ]
[ ! -e cut.pt ]
run 0 train --out cut.pt --resume
says err "goes on after epoch"
cmp whole.pt cut.pt
[ ! -e cut.pt.partial ]

# The existing output stays, unless --force; a checkpoint of another run is refused.
run 3 train --out whole.pt
says err "--force"
cp whole.pt kept.pt
head -c 200 whole.pt >whole.pt.partial
run 4 train --out whole.pt --force --resume
says err "whole.pt.partial"
cmp whole.pt kept.pt
run 2 train --out a.pt --arch resmet8
says err "did you mean 'resnet8'?"
run 2 train --out a.pt --label-smoothing 1.5
run 2 train --out a.pt --stem cifar
says err "has one stem"
run 2 "$tool" train --arch resnet8
says err "--out is required"
run 2 train --out a.pt --learning-rate 1e30
run 2 train --out a.pt --learning-rate 99 --momentum 0.999 --epochs 300
says err "training diverged"
[ ! -e a.pt ]

run 0 "$tool" info whole.pt
says out "3x16x16"
says out "layer3.0"
says out "trained on synthetic"
run 0 "$tool" info whole.pt --json
says out '"architecture": "resnet8"'
echo hello >text.pt
run 4 "$tool" info text.pt
says err "no TorchScript file"
head -c 20000 whole.pt >half.pt
run 4 "$tool" info half.pt
says err "half.pt"
run 5 "$tool" info whole.pt --input 3,5
says err "takes no input of 3x5"

# Import: what does not fit is listed, and nothing is written.
run 5 "$tool" import --arch resnet8 --weights whole.pt --out b.pt
says err "it needs no import"
header='{"conv1.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}       '
printf '\x48\0\0\0\0\0\0\0%s\0\0\0\0' "$header" >one.safetensors
run 5 "$tool" import --arch resnet8 --weights one.safetensors --out b.pt --classes 10
says err "missing: bn1.bias, bn1.running_mean"
says err "conv1.weight (1; expected 16x3x3x3)"
[ ! -e b.pt ]
run 3 "$tool" import --arch resnet8 --weights none.pth --out b.pt
says err "none.pth"
