#!/usr/bin/env bash
# Format, shell syntax, headers that compile alone, and clang-tidy: on the files that
# changed against LINT_BASE (else origin/main, else the last commit), or with --all.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
build=${BUILD:-build}
jobs=$(nproc)

mapfile -t sources < <(git ls-files '*.cpp' '*.h')
echo "lint: format of ${#sources[@]} files"
clang-format --dry-run --Werror "${sources[@]}"

mapfile -t shells < <(git ls-files '*.sh' .ci/run)
for script in "${shells[@]}"; do bash -n "$script"; done

echo "lint: headers compile alone"
python3 scripts/check_headers.py "$build" "$jobs"

base=${LINT_BASE:-$(git rev-parse --verify -q origin/main || true)}
if [ -z "$base" ] || [ "$base" = "$(git rev-parse HEAD)" ]; then
  base=$(git rev-parse --verify -q HEAD~1 || git rev-parse HEAD)
fi
if [ "${1:-}" = --all ]; then
  mapfile -t tidy < <(git ls-files 'lib/*.cpp' 'apps/*.cpp')
else
  mapfile -t tidy < <(git diff --name-only --diff-filter=d "$base" -- 'lib/*.cpp' 'apps/*.cpp')
fi
limit=${LINT_SECONDS:-900}
echo "lint: clang-tidy on ${#tidy[@]} files, at most $limit s"
if [ ${#tidy[@]} -gt 0 ]; then
  status=0
  failed=$(mktemp)
  trap 'rm -f "$failed"' EXIT
  printf '%s\n' "${tidy[@]}" |
    timeout "$limit" xargs -P "$jobs" -n 1 sh -c '
      clang-tidy -p "$0" --quiet "$2" 2>/dev/null && exit
      status=$?
      [ "$status" -gt 128 ] || echo "$2" >>"$1"  # beyond: ended by the limit
      exit "$status"' "$build" "$failed" || status=$?
  if [ -s "$failed" ]; then
    sed 's/^/lint: clang-tidy on /' "$failed"
    exit 1
  elif [ $status -eq 124 ]; then
    echo "lint: clang-tidy ran out of its time; the files it reached are clean"
  elif [ $status -ne 0 ]; then
    exit 1
  fi
fi
echo "lint: done"
