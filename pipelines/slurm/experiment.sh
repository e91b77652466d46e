#!/usr/bin/env bash
# pipelines/slurm/experiment.sh CONFIG OUT [FLAGS...]: one experiment as Slurm jobs, each behind
# those it needs: profile; collect as an array of shards, merged; search as an array of shards,
# merged; train; calibrate; select; eval. FLAGS go to every tool: --data-root DIR, --seed N.
# CONFIG, OUT and the build must be on a file system that all nodes see. A job that begins again
# goes on from the partial file that it left; a finished one is repeated (make -f experiment.mk skips it).
#
# COLLECT_SHARDS (4), SEARCH_SHARDS (4)  how many parts. A search has as many brackets, each with the
#                configuration's trials and minutes: more shards look further, and end no sooner
# SBATCH_FLAGS   for every job: --partition=P --time=1:00:00 --cpus-per-task=8. A tool takes as many
#                threads as its job has cores, unless FLAGS say --threads. profile, select and eval
#                measure time: figures worth keeping want --exclusive.
# BIN            folder of the executables
# Prints the number of the last job; --wait as first word waits for it, and says how it went.
set -euo pipefail
wait_for_it=
if [ "${1:-}" = --wait ]; then wait_for_it=yes && shift; fi
if [ $# -lt 2 ]; then
  sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
if [ ! -f "$1" ]; then
  echo "experiment.sh: $1: no such configuration file" >&2
  exit 3
fi
config=$(readlink -f "$1")
mkdir -p "$2/parts" "$2/steps" "$2/slurm"
out=$(readlink -f "$2")
shift 2
# An earlier run's report would pass for this one's, and so would notes of what a make asked for and took.
rm -f "$out/report.html"
find "$out/steps" '(' -name '*.asked' -o -name '*.json' ')' ! -name 'backbone.*' -delete
bin=${BIN:-$root/build/bin}
collect_shards=${COLLECT_SHARDS:-4} search_shards=${SEARCH_SHARDS:-4}
flags=("$@")
# Without --cpus-per-task a job has a core, or with --exclusive all of the node's.
# shellcheck disable=SC2016
threads='--threads "${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}"'

quoted() { [ $# -eq 0 ] || printf '%q ' "$@"; }

# submit NAME AFTER [ARRAY] -- COMMAND...: prints the job's number. In the command %i stands
# for the task's number of the array. FLAGS come last, so that theirs counts of one given twice.
submit() {
  local name=$1 after=$2 array=
  shift 2
  if [ "$1" != -- ]; then array=$1 && shift; fi
  shift
  local command
  command=$(quoted "$@")
  # Behind a semicolon stands the cluster's name, where there are several.
  # shellcheck disable=SC2086,SC2016
  sbatch --parsable --job-name "cachectl-$name" --output "$out/slurm/$name-%j.log" \
    ${after:+--dependency=afterok:$after --kill-on-invalid-dep=yes} ${array:+--array=1-$array} \
    ${SBATCH_FLAGS:-} --export=ALL \
    --wrap "set -eu; ${command//%i/\"\$SLURM_ARRAY_TASK_ID\"}$threads $(quoted "${flags[@]}")" |
    cut -d ';' -f 1
}

# measured NAME ARGUMENTS...: a tool under the watch that notes its seconds and its memory.
measured() {
  printf '%s\n' "$root/scripts/measured.py" "$out/steps/$1.json" "$bin/cachectl-${1%%-*}" "${@:2}"
}
# step NAME ARGUMENTS...: one that looks for a partial file when the job begins, and without one
# begins anew.
step() { measured "$1" --config "$config" --resume --force "${@:2}"; }
lines() { mapfile -t words < <("$@"); }

after=
backbone=()
own=$(BIN=$bin "$root/pipelines/backbone.sh" --own "$config" "$out" "${flags[@]}")
if [ -n "$own" ]; then backbone=(--backbone "$out/backbone.pt"); fi
if [ "$own" = made ]; then
  after=$(submit backbone "" -- env BIN="$bin" "$root/pipelines/backbone.sh" "$config" "$out")
fi
lines step profile "${backbone[@]}" --out "$out/profile.h5"
profile=$(submit profile "$after" -- "${words[@]}")

lines step collect-%i "${backbone[@]}" --profile "$out/profile.h5" --shard "%i/$collect_shards" \
  --out "$out/parts/medial-%i.h5"
collect=$(submit collect "$profile" "$collect_shards" -- "${words[@]}")
parts=()
for ((i = 1; i <= collect_shards; ++i)); do parts+=("$out/parts/medial-$i.h5"); done
lines measured collect-merge --merge "${parts[@]}" --out "$out/medial.h5" --force
merged=$(submit merge-medial "$collect" -- "${words[@]}")

study=()
if [ -z "$("$root/pipelines/by_hand.sh" "$bin" --config "$config" "${flags[@]}")" ]; then
  study=(--study "$out/study.h5")
  lines step search-%i --medial "$out/medial.h5" --profile "$out/profile.h5" \
    --brackets "$search_shards" --shard "%i/$search_shards" --out "$out/parts/study-%i.h5"
  search=$(submit search "$merged" "$search_shards" -- "${words[@]}")
  parts=()
  for ((i = 1; i <= search_shards; ++i)); do parts+=("$out/parts/study-$i.h5"); done
  lines measured search-merge --merge "${parts[@]}" --out "$out/study.h5" --force
  merged=$(submit merge-study "$search" -- "${words[@]}")
fi

lines step train "${backbone[@]}" --medial "$out/medial.h5" "${study[@]}" --out "$out/caches.h5"
train=$(submit train "$merged" -- "${words[@]}")
lines step calibrate --medial "$out/medial.h5" --caches "$out/caches.h5" --out "$out/calibrated.h5"
calibrate=$(submit calibrate "$train" -- "${words[@]}")
lines step select "${backbone[@]}" --medial "$out/medial.h5" --caches "$out/calibrated.h5" \
  --profile "$out/profile.h5" --out "$out/plan.h5"
select=$(submit select "$calibrate" -- "${words[@]}")
lines step eval "${backbone[@]}" --medial "$out/medial.h5" --plan "$out/plan.h5" \
  --caches "$out/calibrated.h5" --out "$out/report.h5" --html "$out/report.html"
last=$(submit eval "$select" -- "${words[@]}")
echo "$last"

if [ -n "$wait_for_it" ]; then
  # A call that fails says nothing about the job; a list without it does.
  failures=0
  while [ "$failures" -lt 150 ]; do
    if queue=$(squeue --noheader --me --format %A 2>/dev/null); then
      failures=0
      grep -qw -- "$last" <<<"$queue" || break
    else
      failures=$((failures + 1))
    fi
    sleep 2
  done
  if [ "$failures" -gt 0 ]; then
    echo "experiment.sh: squeue has not answered for five minutes; job $last is no longer waited for" >&2
    exit 1
  fi
  if [ ! -f "$out/report.html" ]; then
    echo "experiment.sh: a job failed; the logs are in $out/slurm" >&2
    exit 1
  fi
  echo "$out/report.html"
fi
