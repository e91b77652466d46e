# Which steps of an experiment are made, and when again. The tools are stand-ins that note how they
# were called.
source "$(dirname "$0")/support.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL
mkdir tools
for step in profile collect search train calibrate select eval; do
  cat >"tools/cachectl-$step" <<'TOOL'
#!/usr/bin/env bash
# Of a step its own section of the configuration and the seed are settings; where it takes the
# backbone that is a file it reads.
step=${0##*-} given=" $* "
if [[ $given == *" --list-settings "* ]]; then
  word() { sed -nE "s/.* $1[ =]([^ ]*) .*/\1/p" <<<"$given"; }
  grep "^$step\." x.yaml
  echo "seed: $(word --seed)"
  backbone=$(word --backbone)
  case $step in search | calibrate) ;; *) echo "${backbone:-$(word --data-root)/model.pt}" ;; esac
  echo x.yaml
  exit
fi
echo "$(basename "$0") $*" >>calls
while [ $# -gt 0 ]; do
  if [ "$1" = --out ] || [ "$1" = --html ]; then touch "$2"; fi
  shift
done
TOOL
  chmod +x "tools/cachectl-$step"
done
mkdir data other
touch data/model.pt other/model.pt
echo "select.epsilon: 0.1" >x.yaml

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
says calls "cachectl-eval --config $PWD/x.yaml --data-root data --plan $PWD/run/plan.h5 --caches $PWD/run/calibrated.h5 --medial $PWD/run/medial.h5"
experiment --data-root data
made 0
# The same, said otherwise.
experiment --data-root="$PWD/data" --threads 2
made 0
: >calls
run 0 make -f "$source_dir/pipelines/experiment.mk" CONFIG="$PWD/x.yaml" OUT="$PWD/run" BIN="$PWD/tools" DATA=data
made 0
# The page alone is gone.
rm run/report.html
experiment --data-root data
made 1
# Other data, another seed.
experiment --data-root other
made 7
experiment --data-root other --seed 2
made 7
says calls "--seed 2"
experiment --seed 2 --data-root other
made 0
# Another backbone in its place.
echo retrained >other/model.pt
experiment --data-root other --seed 2
made 7
# The same one, brought anew.
touch -d tomorrow other/model.pt
experiment --data-root other --seed 2
made 0

# Of another configuration the steps that it speaks of, and those behind them.
touch x.yaml
echo "# a remark" >>x.yaml
experiment --data-root other --seed 2
made 0
echo "select.epsilon: 0.2" >x.yaml
experiment --data-root other --seed 2
made 2
says calls "cachectl-select"
says calls "cachectl-eval"

# Files of which nobody knows what they were asked for, as batch jobs leave them.
rm run/steps/*.asked
experiment --data-root other --seed 2
made 7
experiment --data-root other
made 7

# Architectures by hand for all layers leave nothing to search for.
printf '%s\n' "collect.layers: [layer1, layer2]" "train.architectures: [layer1=pool2, fc8]" >>x.yaml
experiment --data-root other
made 6
says calls "--study $PWD/run/study.h5"
sed -i '$d' x.yaml
echo "train.architectures: [layer1=pool2, fc8, layer2=mean]" >>x.yaml
experiment --data-root other
made 4
if grep -q -- --study calls; then cat calls >&2 && exit 1; fi
rm run/study.h5
experiment --data-root other
made 0
sed -i '$d' x.yaml
experiment --data-root other
made 5
says calls "--study $PWD/run/study.h5"
sed -i '$d' x.yaml
experiment --data-root other
made 6

# Names that make would take apart.
for odd in ' ' : % "'" '"' '(' '$' '#' ';' '*' '\' '['; do
  run 2 env BIN="$PWD/tools" "$source_dir/pipelines/run.sh" x.yaml "a${odd}run"
  says err "names with '$odd'"
done
run 3 env BIN="$PWD/tools" "$source_dir/pipelines/run.sh" no/x.yaml run
says err "no such configuration file"

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
touch -d tomorrow run/backbone.pt
experiment --data-root other
made 0

# A make around it passes its variables on; they are said once.
printf 'all:\n\t@%s x.yaml run --data-root $(abspath $(DATA)) --seed $(SEED)\n' \
  "$source_dir/pipelines/run.sh" >Makefile
: >calls
run 0 env BIN="$PWD/tools" make DATA=other SEED=3
made 7
says calls "cachectl-profile --config $PWD/x.yaml --data-root $PWD/other --seed 3 --backbone"
