#!/usr/bin/env bash
# pipelines/demo.sh OUT: the whole chain on the embedded synthetic set, ending with the
# report's path and the three figures that matter.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
out=${1:-runs/demo}
"$root/pipelines/run.sh" "$root/configs/demo.yaml" "$out"
echo
echo "the three figures that matter:"
grep -E '^(FLOPs per sample|effect on accuracy) ' "$out/steps/eval.txt" | sed 's/^/  /' || true
grep -E '^[+ -] At batch 32 ' "$out/steps/eval.txt" | sed 's/^../  /' || true  # none of an empty plan
echo "report: $(readlink -f "$out/report.html")"
