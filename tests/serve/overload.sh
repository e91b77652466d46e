# Many times the load that can be served: memory stays bounded, what is beyond the queue gets 503
# with Retry-After, and afterwards all is as before. OVERLOAD_SECONDS: how long, 6 by default.
. "$(dirname "$0")/support.sh"
"$python" -c 'import numpy' 2>/dev/null || skip "no numpy for $python (apt: python3-numpy)"
command -v wrk >/dev/null || skip "no wrk (apt: wrk)"
make_model resnet56 # whose items cost more than it takes to send them
"$python" "$tests/v2.py" 64
start_server --queue-items 128 --max-items 128 --workers 1 --threads 1
resident() { counted process_resident_memory_bytes; }

load 3 2 infer.bin "$(cat infer.length)"
sustained=$(awk -v served="$(of_load 'status 200')" -v s="$(of_load seconds)" 'BEGIN {print served / s}')
before=$(resident)
(while sleep 0.5; do resident; done >during) &
watcher=$!
load "${OVERLOAD_SECONDS:-6}" 200 infer.bin "$(cat infer.length)"
kill "$watcher"
cat loaded
peak=$(sort -n during | tail -1)
offered=$(awk -v all="$(awk '/^status/ {n += $3} END {print n}' loaded)" -v s="$(of_load seconds)" 'BEGIN {print all / s}')
echo "sustained $sustained requests of 64 items a second, offered $offered"
awk -v offered="$offered" -v sustained="$sustained" 'BEGIN {exit !(offered > 10 * sustained)}' ||
  skip "this machine could not offer ten times what it can serve"
echo "resident $((${before%.*} >> 20)) MiB before, $((${peak%.*} >> 20)) MiB at the peak"

[ "$(of_load 'status 200')" -gt 0 ]
[ "$(of_load 'status 503')" -gt "$(of_load 'status 200')" ]
[ "$(of_load without_retry)" -eq 0 ]
[ "$(of_load broken)" -eq 0 ]
# 200 bodies of 200 kB being read, a queue of 128 items, and what allocators keep of it.
[ "${peak%.*}" -lt $((${before%.*} + 200 * 1024 * 1024)) ]

# Recovered: nobody waits any more, and a request is answered.
for i in $(seq 100); do
  [ "$(counted cachectl_queue_items)" -eq 0 ] && [ "$(counted cachectl_connections)" -le 1 ] && break
  sleep 0.1
done
answers 200 --max-time 10 --data-binary @infer.json "$address/v2/models/backbone/infer"
stop_server
