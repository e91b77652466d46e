#!/usr/bin/env bash
# Trains the demo's backbone on the synthetic set's own part. A minute or two on two cores.
set -euo pipefail
exec "$BIN/cachectl-backbone" train --arch resnet8 --epochs 10 --batch-size 64 --no-flip --shift 2 \
  --data-mean 0.5 --data-std 0.25 "$@"
