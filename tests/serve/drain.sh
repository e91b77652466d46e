# SIGTERM under load: every request that was accepted is answered in full, and the end is clean.
# kill -9 leaves nothing behind that keeps the next one from starting on the same port.
. "$(dirname "$0")/support.sh"
"$python" -c 'import numpy' 2>/dev/null || skip "no numpy for $python (apt: python3-numpy)"
make_model
"$python" "$tests/v2.py" 16
start_server --delay-ms 50
"$python" "$tests/drain.py" "$address" infer.bin "$(cat infer.length)" "$server_pid"
status=0
wait "$server_pid" || status=$?
[ "$status" -eq 0 ]
says server.log "all that was accepted has its answer"

port=${address##*:}
start_server
(while curl -sS -o ignored --data-binary @infer.json "$address/v2/models/backbone/infer"; do :; done) 2>/dev/null &
sleep 0.5
kill -9 "$server_pid"
wait "$server_pid" 2>/dev/null || true
start_server
answers 200 --data-binary @infer.json "$address/v2/models/backbone/infer"

# Neither a taken port nor a plan that is none starts a server.
run 3 "$bin/cachectl-serve" --config config.yaml --backbone backbone.pt --plan plan.h5 --port "$port"
says err "cannot listen"
empty out
run 4 "$bin/cachectl-serve" --config config.yaml --backbone backbone.pt --plan config.yaml
run 2 "$bin/cachectl-serve" --config config.yaml --backbone backbone.pt --plan plan.h5 --host nowhere
run 2 "$bin/cachectl-serve" --config config.yaml --backbone backbone.pt --plan plan.h5 --model a/b
run 2 "$bin/cachectl-serve" --config config.yaml --backbone backbone.pt --plan plan.h5 --max-items 2000
stop_server
