# Misuse of cachectl-search and cachectl-train, and what they say.
source "$(dirname "$0")/support.sh"

run 0 "$bin/cachectl-search" --help
says out --shard
says out --status
empty err

run 2 "$bin/cachectl-search" --out study.h5
says err "--medial is missing"
empty out

run 2 "$bin/cachectl-search"
says err "--out is missing"

run 3 "$bin/cachectl-search" --status none.h5
says err "none.h5: no such study"

cat >bad.yaml <<'YAML'
search:
  trails: 8
YAML
run 2 "$bin/cachectl-search" --config bad.yaml --out study.h5
says err "did you mean 'search.trials'"

run 2 "$bin/cachectl-train" --out caches.h5
says err "--medial"
empty out

run 3 "$bin/cachectl-train" --medial none.h5 --out caches.h5
says err none.h5

echo "no HDF5 file" >text.h5
run 4 "$bin/cachectl-search" --status text.h5
says err text.h5
run 4 "$bin/cachectl-train" --medial text.h5 --out caches.h5
says err text.h5
