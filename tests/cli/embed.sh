# The installed package: a program outside the tree finds it, builds, and embeds the engine.
. "$(dirname "$0")/support.sh"
build=${CACHECTL_BUILD:?the build folder}
grep -q '^CACHECTL_SANITIZE:STRING=.' "$build/CMakeCache.txt" && skip "sanitized build"
run 0 cmake --install "$build" --component Unspecified --prefix "$scratch/prefix"
run 0 cmake -S "$source_dir/examples/embed" -B example -DCMAKE_PREFIX_PATH="$scratch/prefix" \
  -DCMAKE_BUILD_TYPE=Release
run 0 cmake --build example
"$build/tests/make_cached_backbone" "$scratch"
run 0 example/classify backbone.pt plan.h5 9
[ "$(grep -c ' class ' out)" -eq 9 ]
says out "9 samples in"
run 4 example/classify backbone.pt config.yaml
says err "config.yaml"
