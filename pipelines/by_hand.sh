#!/usr/bin/env bash
# pipelines/by_hand.sh BIN [FLAGS...]: prints "yes" where the configuration brings an architecture for
# every layer that it collects (train.architectures, collect.layers): there is nothing to search for.
set -euo pipefail
bin=$1
shift
# list TOOL KEY: what stands in the brackets of a setting.
list() { "$bin/cachectl-$1" "${flags[@]}" --list-settings 2>/dev/null | sed -n "s/^$2: \[\(.*\)\]$/\1/p"; }
flags=("$@")
given=" $(list train train.architectures || true)"
layers=$(list collect collect.layers || true)
if [ -z "$layers" ]; then exit 0; fi
for layer in ${layers//,/ }; do
  if [[ $given != *" $layer="* ]]; then exit 0; fi
done
echo yes
