# The whole chain by pipelines/run.sh, with its tools, on a set of a few samples; scripts/results.py
# tells of it what the reports say.
source "$(dirname "$0")/support.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL
export BIN=$bin
cp "$source_dir/tests/cli/tiny.yaml" .
cp tiny.yaml other.yaml
chain() { run 0 "$source_dir/pipelines/run.sh" "$@" --threads 1; }

chain tiny.yaml run
for file in backbone.pt profile.h5 medial.h5 study.h5 caches.h5 calibrated.h5 plan.h5 report.h5 report.html; do
  [ -s "run/$file" ]
done
says run/steps/eval.txt "effect on accuracy"

# Nothing is repeated, and another epsilon repeats the end.
touch before
sleep 0.01
chain tiny.yaml run
[ -z "$(find run -newer before -name '*.h5')" ]
# Of the earlier plan, as benchmarks/tolerances.sh leaves them.
cp run/report.h5 run/report-own.h5
cp run/report.h5 run/report-tolerance-7.h5
results=$source_dir/scripts/results.py
run 0 "$results" run
says out "1 seed, 180 test samples"
says out "tolerance 7 %"
empty err
sed -i 's/epsilon: 0.2/epsilon: 0.3/' tiny.yaml
chain tiny.yaml run
[ "$(find run -newer before -name '*.h5' ! -name 'report-*' | sort | tr '\n' ' ')" = "run/plan.h5 run/report.h5 " ]

run 0 "$results" run
says err "report-own.h5 is of an earlier plan"
says out "tolerance 7 %"
accuracy=$(/usr/bin/python3 -c 'import h5py
plan = h5py.File("run/report.h5")["plans"]
print(f"{100 * next(iter(plan.values())).attrs['"'accuracy_plain'"'][0]:.2f} %")')
says out "| accuracy | $accuracy"

# Another seed: a mean with its range, and the seconds of all steps.
chain other.yaml run2 --seed 2
run 0 "$results" run run2
says out "2 seeds, 180 test samples"
says out " to "
says out "| stage | backbone | profile | collect | search | train | calibrate | select | eval | all |"
# The parts of a batch job count where nothing was made in one piece since.
for part in 1 2 merge; do
  echo '{"command": "cachectl-search", "seconds": 6000, "peak_bytes": 1}' >"run/steps/search-$part.json"
done
run 0 "$results" run
if grep -q 300.0 out; then exit 1; fi
rm run/steps/search.json
run 0 "$results" run
says out "| 300.0 |"

# Reports of other cache models are none of this run's.
cp run2/report.h5 run/report-tolerance-8.h5
run 0 "$results" run
says err "report-tolerance-8.h5 is of other cache models"
if grep -q "tolerance 8" out; then exit 1; fi
run 1 "$results" run none
says err "none holds no report.h5"

# What a step says of its settings ends the chain, and nothing is left that could pass for its result.
sed -i 's/trials: 2/trials: -2/' tiny.yaml
run 2 "$source_dir/pipelines/run.sh" tiny.yaml failed
says err "search.trials"
[ ! -e failed/report.html ]
