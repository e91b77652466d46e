# Sourced by the scripts of this folder. Each has a scratch folder of its own, and
# the line that failed is named.
set -Eeuo pipefail
bin=${CACHECTL_BIN:?the folder with the executables}
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'echo "$0:$LINENO: failed: $BASH_COMMAND" >&2' ERR
cd "$scratch"
unset CACHECTL_DATA

# run STATUS COMMAND...: runs it, keeps out and err, and wants this exit status.
run() {
  local wanted=$1 status=0
  shift
  "$@" >out 2>err || status=$?
  if [ "$status" -ne "$wanted" ]; then
    echo "exit status $status, expected $wanted: $*" >&2
    sed 's/^/  stdout: /' out >&2
    sed 's/^/  stderr: /' err >&2
    return 1
  fi
}
# says FILE TEXT: the file contains the text.
says() {
  grep -qF -- "$2" "$1" || { echo "$1 does not say: $2" >&2; sed 's/^/  /' "$1" >&2; return 1; }
}
# empty FILE
empty() {
  [ ! -s "$1" ] || { echo "$1 is not empty:" >&2; cat "$1" >&2; return 1; }
}
skip() { echo "skipped: $1"; exit 77; }
