# An experiment as Slurm jobs, of which a stand-in for sbatch makes none.
source "$(dirname "$0")/support.sh"
mkdir slurm
cat >slurm/sbatch <<'TOOL'
#!/usr/bin/env bash
echo "$*" >>jobs
wc -l <jobs
TOOL
printf '#!/bin/sh\n' >slurm/squeue
chmod +x slurm/*
PATH=$PWD/slurm:$PATH
echo "seed: 1" >x.yaml

# An earlier run's report is none of this one's.
mkdir run
touch run/report.html
run 1 "$source_dir/pipelines/slurm/experiment.sh" --wait x.yaml run --seed 2
says err "a job failed; the logs are in $PWD/run/slurm"
says out 9
says jobs "--caches $PWD/run/calibrated.h5"
says jobs "--dependency=afterok:8"

run 2 "$source_dir/pipelines/slurm/experiment.sh" x.yaml
says err "COLLECT_SHARDS"
run 3 "$source_dir/pipelines/slurm/experiment.sh" none.yaml run
says err "none.yaml: no such configuration file"
