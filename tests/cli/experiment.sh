# Which steps of an experiment are made, and when again. The tools are stand-ins that note how they
# were called.
source "$(dirname "$0")/support.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL
mkdir tools
for step in profile collect search train calibrate select eval; do
  cat >"tools/cachectl-$step" <<'TOOL'
#!/usr/bin/env bash
echo "$(basename "$0") $*" >>calls
while [ $# -gt 0 ]; do
  if [ "$1" = --out ] || [ "$1" = --html ]; then touch "$2"; fi
  shift
done
TOOL
  chmod +x "tools/cachectl-$step"
done
echo "seed: 1" >x.yaml

experiment() {
  : >calls
  run 0 env BIN="$PWD/tools" "$source_dir/pipelines/run.sh" x.yaml run "$@"
}
# made N: as many steps were made.
made() {
  [ "$(wc -l <calls)" -eq "$1" ] || { echo "not $1 steps:" >&2; cat calls >&2; return 1; }
}

experiment --data-root data
made 7
says calls "cachectl-eval --config $PWD/x.yaml --data-root data --plan $PWD/run/plan.h5 --caches $PWD/run/calibrated.h5"
experiment --data-root data
made 0
# The same, said otherwise.
experiment --data-root="$PWD/data" --threads 2
made 0
: >calls
run 0 make -f "$source_dir/pipelines/experiment.mk" CONFIG="$PWD/x.yaml" OUT="$PWD/run" BIN="$PWD/tools" DATA=data
made 0
# Other data, another seed, another configuration.
experiment --data-root other
made 7
experiment --data-root other --seed 2
made 7
says calls "--seed 2"
experiment --seed 2 --data-root other
made 0
touch x.yaml
experiment --data-root other --seed 2
made 7

# A run from before its flags were noted stays as it is.
rm run/steps/asked
experiment --data-root other --seed 2
made 0
experiment --data-root other
made 7

# A killed step is gone on with, what follows is made anew.
rm run/caches.h5
touch run/caches.h5.partial
experiment --data-root other
made 4
says calls "--out $PWD/run/caches.h5 --resume --force"
rm run/caches.h5.partial

# A backbone of its own.
touch run/backbone.pt
experiment --data-root other
made 7
says calls "--backbone $PWD/run/backbone.pt"

# A make around it passes its variables on; they are said once.
printf 'all:\n\t@%s x.yaml run --data-root $(abspath $(DATA)) --seed $(SEED)\n' \
  "$source_dir/pipelines/run.sh" >Makefile
: >calls
run 0 env BIN="$PWD/tools" make DATA=other SEED=3
made 7
says calls "cachectl-profile --config $PWD/x.yaml --data-root $PWD/other --seed 3 --backbone"
