# An experiment as Slurm jobs, which a stand-in for sbatch keeps: some are run here, with stand-ins
# for the tools that note how they were called.
source "$(dirname "$0")/support.sh"
unset "${!SLURM@}"
mkdir slurm tools
cat >slurm/sbatch <<'TOOL'
#!/usr/bin/env bash
echo "$*" >>jobs
number=$(wc -l <jobs)
echo "${!#}" >"job-$number"
echo "$number;cluster"
TOOL
# Out of reach at first, then with the last job, then without.
cat >slurm/squeue <<'TOOL'
#!/usr/bin/env bash
echo "$*" >>asked
case $(wc -l <asked) in
  1 | 3) exit 1 ;;
  2) printf '8\n9\n' ;;
esac
TOOL
printf '#!/bin/sh\n' >slurm/sleep
for tool in profile collect search eval; do
  printf '#!/bin/sh\necho "$(basename "$0") $*" >>calls\n' >"tools/cachectl-$tool"
done
chmod +x slurm/* tools/*
PATH=$PWD/slurm:$PATH
export BIN=$PWD/tools
echo "seed: 1" >x.yaml
submit=$source_dir/pipelines/slurm/experiment.sh

# An earlier run's report is none of this one's.
mkdir run
touch run/report.html
run 1 "$submit" --wait x.yaml run --seed 2
says err "a job failed; the logs are in $PWD/run/slurm"
says out 9
[ "$(wc -l <asked)" -eq 4 ]
says jobs "--caches $PWD/run/calibrated.h5"
says jobs "--dependency=afterok:8 "
[ "$(grep -c -- --array=1-4 jobs)" -eq 2 ]
sed -n 2p jobs >collect-job
says collect-job "--array=1-4"
says collect-job "--dependency=afterok:1 "
says job-9 "--medial $PWD/run/medial.h5 --plan $PWD/run/plan.h5"

# runs NUMBER WANTED [VARIABLE=VALUE...]: the job calls its tool so.
runs() {
  : >calls
  run 0 env "${@:3}" sh "job-$1"
  says calls "$2"
}
# As many threads as the job has cores; and whatever is left of its file, it goes on from.
runs 1 "cachectl-profile --config $PWD/x.yaml --resume --force --out $PWD/run/profile.h5 --threads 1 --seed 2"
runs 2 "--shard 3/4 --out $PWD/run/parts/medial-3.h5 --threads 8 --seed 2" \
  SLURM_ARRAY_TASK_ID=3 SLURM_CPUS_PER_TASK=8 SLURM_CPUS_ON_NODE=16
[ -f run/steps/collect-3.json ]
runs 3 "--out $PWD/run/medial.h5 --force --threads 16 --seed 2" SLURM_CPUS_ON_NODE=16
[ -f run/steps/collect-merge.json ]
runs 5 "--out $PWD/run/study.h5 --force --threads 1 --seed 2"
[ -f run/steps/search-merge.json ]

# A backbone that is made first, and one that was put there.
touch x.backbone.sh
rm jobs
run 0 "$submit" x.yaml made
says out 10
says job-1 "backbone.sh $PWD/x.yaml $PWD/made"
says jobs "--dependency=afterok:1 "
for job in 2 3 7 9 10; do says "job-$job" "--backbone $PWD/made/backbone.pt"; done
touch run/backbone.pt
rm jobs
run 0 "$submit" x.yaml run
says out 9
for job in 1 2 6 8 9; do says "job-$job" "--backbone $PWD/run/backbone.pt"; done

run 2 "$submit" x.yaml
says err "COLLECT_SHARDS"
run 3 "$submit" none.yaml run
says err "none.yaml: no such configuration file"
run 3 "$submit" none/x.yaml run
says err "none/x.yaml: no such configuration file"

# Architectures by hand for all layers leave nothing to search for.
printf '#!/bin/sh\necho "collect.layers: [layer1]"\n' >tools/cachectl-collect
printf '#!/bin/sh\necho "train.architectures: [layer1=pool2, fc8]"\n' >tools/cachectl-train
chmod +x tools/*
rm jobs
run 0 "$submit" x.yaml hand
says jobs "cachectl-train --config $PWD/x.yaml --resume --force"
if grep -q study jobs; then cat jobs >&2 && exit 1; fi
