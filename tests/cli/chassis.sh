# Help, version, misuse and the configuration file, with a tool that needs nothing else.
. "$(dirname "$0")/support.sh"

run 0 "$bin/cachectl" help
says out "profile"
empty err
run 0 "$bin/cachectl" inspect --help
says out "how it was made"
run 0 "$bin/cachectl-inspect" --version
says out "cachectl-inspect 0."

run 2 "$bin/cachectl" inspct x
says err "did you mean 'inspect'?"
empty out
run 2 "$bin/cachectl"
run 2 "$bin/cachectl-inspect"
says err "a FILE is required"
run 2 "$bin/cachectl-inspect" --verfy x
says err "did you mean --verify?"
run 2 "$bin/cachectl-inspect" x --threads many
says err "--threads: threads: 'many': expected a whole number"
run 2 "$bin/cachectl-inspect" x --threads -1
says err "expected a number from 0 to 4096"
run 3 "$bin/cachectl-inspect" none.h5
says err "none.h5: no such file"
echo hello > text.h5
run 4 "$bin/cachectl-inspect" text.h5
says err "text.h5: is no HDF5 file"

# Configuration: sections of other tools are passed over, mistakes are placed.
config() { printf '%s\n' "$@" > c.yaml; }
config 'seed: 3' 'train:' '  epochs: 5'
run 4 "$bin/cachectl-inspect" text.h5 --config c.yaml
config 'sede: 3'
run 2 "$bin/cachectl-inspect" text.h5 --config c.yaml
says err "c.yaml:1: unknown key 'sede'; did you mean 'seed'?"
config 'seed: 3' 'seed: 4'
run 2 "$bin/cachectl-inspect" text.h5 --config c.yaml
says err "c.yaml:2: key 'seed' is given twice"
config 'seed: [1, 2'
run 2 "$bin/cachectl-inspect" text.h5 --config c.yaml
says err "is no YAML"
config '- a' '- b'
run 2 "$bin/cachectl-inspect" text.h5 --config c.yaml
says err "expected sections with keys"
config 'seed: {a: 1}'
run 2 "$bin/cachectl-inspect" text.h5 --config c.yaml
says err "c.yaml:1: seed: expected INT"
config 'seed: lots'
run 2 "$bin/cachectl-inspect" text.h5 --config c.yaml
says err "c.yaml:1: seed: 'lots': expected a whole number"
run 3 "$bin/cachectl-inspect" text.h5 --config none.yaml
says err "none.yaml: no such configuration file"
: > c.yaml
run 4 "$bin/cachectl-inspect" text.h5 --config c.yaml

# The completion knows every tool's flags.
run 0 "$bin/cachectl" completion
bash -n out
run 0 "$bin/cachectl-inspect" --list-flags
says out "--verify -"

# What is in effect, without doing it.
echo "{seed: 5, select: {epsilon: 0.25}}" > s.yaml
run 0 "$bin/cachectl-select" --config s.yaml --budget halving --list-settings
says out "seed: 5"
says out "select.epsilon: 0.25"
says out "select.budget: halving"
run 0 "$bin/cachectl-select" --config s.yaml --backbone b.pt --list-settings --list-inputs
says out "select.epsilon: 0.25"
grep -qx b.pt out
grep -qx s.yaml out
# Files whose names stand in other values: labels that a .npy set has beside it, other reports.
run 0 "$bin/cachectl-eval" --data-root d --data-kind npy --data-labels l.npy --beside a.h5,b.h5 \
  --list-inputs
for file in l.npy a.h5 b.h5; do grep -qx "$file" out; done
# A flag takes one word.
run 2 "$bin/cachectl-select" --data-root my data --list-settings
says err "'data' is not known here"

# Results that can't be written are no success.
if [ -w /dev/full ]; then
  status=0
  "$bin/cachectl-inspect" --help > /dev/full 2>err || status=$?
  [ "$status" -eq 3 ]
  says err "cannot write"
fi

# A reader that has closed its end, as `head` does, is told of by the status alone.
exec 3> >(:)
wait $!
status=0
"$bin/cachectl-inspect" --help >&3 2>err || status=$?
exec 3>&-
[ "$status" -eq 141 ]
empty err

# Devices: names that can't be, and ones that are not there.
for device in foo cuda: cuda:x cuda:99999 gpu cpu:0; do
  run 2 "$bin/cachectl-inspect" text.h5 --device "$device"
  says err "--device $device: expected cpu, cuda or cuda:N"
done
run 2 "$bin/cachectl-inspect" text.h5 --device cuda:999
says err "CUDA devices"
