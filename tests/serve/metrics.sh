# What Prometheus reads: promtool finds no fault, and the counts are those of the traffic.
. "$(dirname "$0")/support.sh"
"$python" -c 'import numpy' 2>/dev/null || skip "no numpy for $python (apt: python3-numpy)"
command -v promtool >/dev/null || skip "no promtool (apt: prometheus)"
make_model
start_server --max-batch 16
curl -sS "$address/metrics" | promtool check metrics

"$python" "$tests/v2.py" 20
for i in 1 2 3; do answers 200 --data-binary @infer.json "$address/v2/models/backbone/infer"; done
answers 400 --data-binary "{" "$address/v2/models/backbone/infer"
curl -sS "$address/metrics" >metrics
promtool check metrics <metrics
[ "$(counted cachectl_exits_total)" -eq 60 ]
[ "$(counted cachectl_item_latency_seconds_count)" -eq 60 ]
[ "$(counted cachectl_batch_items_sum)" -eq 60 ]
[ "$(counted cachectl_request_latency_seconds_count)" -eq 3 ]
says metrics 'cachectl_requests_total{protocol="http",status="200"} 4'
says metrics 'cachectl_requests_total{protocol="http",status="400"} 1'
says metrics 'cachectl_exits_total{exit="layer1"} '
says metrics 'cachectl_queue_items 0'
says metrics 'cachectl_queue_capacity_items 1024'
says metrics 'cachectl_plan_info{model="backbone",plan="'
awk '/^cachectl_flops_total / {spent = $2} /^cachectl_plain_flops_total / {plain = $2}
     END {exit !(spent > 0 && spent < plain)}' metrics
stop_server
