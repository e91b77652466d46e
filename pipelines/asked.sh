#!/usr/bin/env bash
# pipelines/asked.sh OUT STEP TOOL [FLAGS...]: notes in OUT/steps/STEP.asked what a step of an
# experiment is asked for: the tool's settings, and what tells other contents of the files outside the
# experiment that it reads: their SHA-256, or where a file or a folder takes over 256 MiB, sizes and dates.
# The file is rewritten only when that changes: the step is then made anew.
set -euo pipefail
out=$1 step=$2 tool=$3
shift 3
mkdir -p "$out/steps"
file=$out/steps/$step.asked
config=
for ((i = 1; i < $#; ++i)); do
  if [ "${!i}" = --config ]; then next=$((i + 1)) config=$(realpath -m -- "${!next}"); fi
done

# look PATH: what tells another content of a file, or of a folder's files.
look() {
  local path bytes
  path=$(realpath -m -- "$1")
  if [ "$path" = "$config" ]; then return; fi
  if [ ! -e "$path" ]; then
    echo "$path: missing"
    return
  fi
  bytes=$(find -L "$path" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%.0f\n", sum }')
  echo "$path: $(
    if [ "$bytes" -gt $((256 << 20)) ]; then
      find -L "$path" -type f -printf '%P %s %T@\n'
    else
      find -L "$path" -type f -print0 | xargs -0r sha256sum --
    fi | LC_ALL=C sort | sha256sum
  )"
}

"$tool" "$@" --list-settings --list-inputs >"$file.list"
while IFS= read -r line; do
  if [[ $line =~ ^[a-z0-9_.]+:\  ]]; then echo "$line"; else look "$line"; fi
done <"$file.list" >"$file.new"
rm "$file.list"
if [ -f "$file" ] && cmp -s "$file" "$file.new"; then
  rm "$file.new"
  exit 0
fi
mv "$file.new" "$file"
