# The chain as Slurm jobs that run, on a Slurm of this one machine. That sets up packages and daemons,
# so it is done only where it is asked for.
source "$(dirname "$0")/support.sh"
[ -n "${CACHECTL_SLURM:-}" ] || skip "CACHECTL_SLURM=1, as root, sets up a Slurm on this machine and runs jobs there"
unset "${!SLURM@}"
cp "$source_dir/tests/cli/tiny.yaml" .
export BIN=$bin SLURM_FOLDER=$PWD/slurm
node=$source_dir/pipelines/slurm/one-node.sh
trap '"$node" stop; cd /; rm -rf "$scratch"' EXIT
run 0 "$node" start
eval "$(cat out)"
run 1 "$node" start
says err "runs already"

export COLLECT_SHARDS=3 SEARCH_SHARDS=2
run 0 "$source_dir/pipelines/slurm/experiment.sh" --wait tiny.yaml run
says out "$PWD/run/report.html"
[ -s run/report.html ]
for shard in 1 2 3; do [ -s "run/steps/collect-$shard.json" ]; done
run 0 "$source_dir/scripts/results.py" run
says out "| stage | backbone | profile | collect | search | train | calibrate | select | eval | all |"

# A job that fails is told, and what waits behind it does not run.
sed -i 's/trials: 2/trials: -2/' tiny.yaml
run 1 "$source_dir/pipelines/slurm/experiment.sh" --wait tiny.yaml run
says err "a job failed"
grep -q "search.trials" run/slurm/search-*.log
[ ! -e run/report.html ]
