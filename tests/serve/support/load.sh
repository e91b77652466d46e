# Not a test by itself: HTTP load, streams and reloads at once, then SIGTERM; the server must end
# with 0. scripts/serve_tsan.sh runs it on a server under the thread sanitizer.
. "$(dirname "${BASH_SOURCE[0]}")/../support.sh"
make_model
"$python" "$tests/v2.py" 40
start_server --watch-seconds 0.2 --io-threads 2 --delay-ms 1
answers 200 --data-binary @infer.json "$address/v2/models/backbone/infer"
cp body answer
load "${SECONDS_OF_LOAD:-20}" 16 infer.bin "$(cat infer.length)" &
load_pid=$!
end=$(($(date +%s) + ${SECONDS_OF_LOAD:-20}))
while [ "$(date +%s)" -lt "$end" ]; do
  kill -HUP "$server_pid"
  "$python" "$tests/stream.py" "$address" answer busy
  curl -sS -o ignored "$address/metrics" "$address/status"
done
wait "$load_pid"
cat loaded
stop_server
