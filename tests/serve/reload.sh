# A new plan under load: taken on SIGHUP and when the file changes, the old one kept where the
# new can't be used, and not one request fails.
. "$(dirname "$0")/support.sh"
"$python" -c 'import numpy' 2>/dev/null || skip "no numpy for $python (apt: python3-numpy)"
command -v wrk >/dev/null || skip "no wrk (apt: wrk)"
make_model
start_server --watch-seconds 0.1
"$python" "$tests/v2.py" 4
load 8 4 infer.bin "$(cat infer.length)" &
load_pid=$!
sleep 1
for i in 1 2 3 4; do
  kill -HUP "$server_pid"
  sleep 0.3
done
cp plan.h5 sound.h5
for i in 1 2 3; do
  head -c 20000 sound.h5 >broken.h5 && mv broken.h5 plan.h5 # cut off
  sleep 0.5
  cp sound.h5 next.h5 && mv next.h5 plan.h5
  sleep 0.5
done
rm plan.h5 # no file is no change
sleep 0.3
wait "$load_pid"
cat loaded
[ "$(of_load 'status 200')" -gt 10 ]
[ "$(grep -c '^status' loaded)" -eq 1 ]
[ "$(of_load broken)" -eq 0 ]
[ "$(of_load timeouts)" -eq 0 ]
curl -sS "$address/metrics" >metrics
says metrics 'cachectl_plan_reloads_total{result="kept_old"} 3'
[ "$(awk -F'} ' '/reloads_total{result="taken"/ {print $2}' metrics)" -ge 5 ]
says server.log "the plan stays"
stop_server
