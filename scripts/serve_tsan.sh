#!/usr/bin/env bash
# scripts/serve_tsan.sh [SECONDS]: the server under the thread sanitizer. Compiles lib/serve, its
# tests and cachectl-serve with it, links them with the other libraries of BUILD as they are (a
# fraction of the time that the preset tsan takes), runs the tests, then the server under load by
# wrk and streams, with reloads and an end by SIGTERM. Fails on any report.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
root=$PWD build=${BUILD:-build} seconds=${1:-20}
out=$build/serve-tsan
mkdir -p "$out"

python3 - "$build" "$out" <<'PY' >"$out/commands"
import json, os, shlex, sys
build, out = sys.argv[1:]
for one in json.load(open(f"{build}/compile_commands.json")):
    path = os.path.relpath(one["file"], ".")
    if not (path.startswith(("lib/serve/", "tests/unit/serve/", f"{build}/web/dashboard")) or path == "apps/cachectl-serve.cpp"):
        continue
    target = os.path.abspath(f"{out}/{path.replace('/', '_')}.o")
    words = shlex.split(one["command"])
    words[words.index("-o") + 1] = target
    if os.path.exists(target) and os.path.getmtime(target) > os.path.getmtime(path):
        continue
    print(f"cd {shlex.quote(one['directory'])} && " + shlex.join(words + ["-fsanitize=thread", "-g1", "-O1"]))
PY
xargs -d '\n' -P "$(nproc)" -I{} bash -c '{}' <"$out/commands"

# The link line of a target, with the sanitizer's objects in place of the usual ones.
link() { # TARGET OUTPUT OBJECTS...
  local target=$1 output=$2
  shift 2
  ninja -C "$build" -t commands "$target" | tail -1 | python3 -c '
import re, shlex, sys
output, objects = sys.argv[1], sys.argv[2:]
line = sys.stdin.read().split(" && ")
(command,) = [part for part in line if " -o " in part]
words = [w for w in shlex.split(command) if not w.endswith(".o") and "libcachectl_serve.a" not in w]
words[words.index("-o") + 1] = output
print(shlex.join(words[:1] + ["-fsanitize=thread"] + objects + words[1:]))' "$output" "$@" >"$out/link"
  (cd "$build" && bash -c "$(cat serve-tsan/link)")
}
mapfile -t library < <(ls "$root/$out"/lib_serve_*.o "$root/$out"/*dashboard_page*.o)
mapfile -t server_test < <(ls "$root/$out"/tests_unit_serve_{server,malformed}_test*.o)
mapfile -t serve_test < <(ls "$root/$out"/tests_unit_serve_*.o | grep -vE '(server|malformed)_test')
link server_test "$root/$out/server_test" "${server_test[@]}" "${library[@]}"
link serve_test "$root/$out/serve_test" "${serve_test[@]}" "${library[@]}"
link cachectl-serve "$root/$out/cachectl-serve" "$root/$out/apps_cachectl-serve.cpp.o" "${library[@]}"

export TSAN_OPTIONS="suppressions=$root/scripts/serve_tsan.txt halt_on_error=0 exitcode=66 ignore_noninstrumented_modules=1"
export OMP_NUM_THREADS=1
"$out/serve_test"
"$out/server_test"
mkdir -p "$out/bin"
ln -sf "$root/$out/cachectl-serve" "$out/bin/cachectl-serve"
CACHECTL_BIN=$root/$out/bin CACHECTL_BUILD=$root/$build SECONDS_OF_LOAD=$seconds \
  bash tests/serve/support/load.sh
echo "serve_tsan: no report"
