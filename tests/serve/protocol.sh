# The Open Inference Protocol v2 by curl and by Python's standard library; nothing of the host
# in an answer.
. "$(dirname "$0")/support.sh"
"$python" -c 'import numpy' 2>/dev/null || skip "no numpy for $python (apt: python3-numpy)"
make_model
start_server
model=$address/v2/models/backbone

answers 200 "$address/v2"
says body '"binary_tensor_data"'
answers 200 "$address/v2/health/live"
says body '{"live":true}'
answers 200 "$address/v2/health/ready"
says body '{"ready":true}'
answers 200 "$model"
says body '"shape":[-1,3,16,16]'
answers 200 "$model/ready"
says body '{"name":"backbone","ready":true}'
answers 200 "$model/versions/1"
answers 200 --head "$address/v2"
says header 'Content-Length: '
answers 404 "$address/v2/models/other"
answers 404 "$address/v2/models/backbone/versions/2"
answers 405 "$model/infer"
says header 'Allow: POST'
answers 405 -X DELETE "$address/v2"
answers 426 "$model/stream"

"$python" "$tests/v2.py" 5
answers 200 --data-binary @infer.json "$model/infer"
says body '"id":"from curl"'
says body '"exits":"'
cp body json.answer
answers 200 --data-binary @infer.bin -H "Inference-Header-Content-Length: $(cat infer.length)" "$model/infer"
grep -qi '^Inference-Header-Content-Length: [0-9]' header
answers 200 --http1.0 --data-binary @infer.json "$model/infer"
answers 200 --data-binary @infer.json -H 'Transfer-Encoding: chunked' "$model/infer"
answers 200 --data-binary @infer.json -H 'Expect: 100-continue' "$model/infer"
answers 200 --data-binary @infer.json "$model/versions/1/infer"
answers 400 --data-binary '{"inputs": 1}' "$model/infer"
says body '"error"'
answers 415 --data-binary @infer.json -H 'Content-Encoding: gzip' "$model/infer"
answers 403 --data-binary @infer.json -H 'Origin: http://elsewhere.example' "$model/infer"
answers 200 --data-binary @infer.json -H "Origin: $address" "$model/infer"

"$python" "$tests/protocol.py" "$address"

# What the server says names no place on this machine.
for path in / /status /metrics /v2 /v2/models/backbone /v2/models/backbone/infer; do
  answers "$(status_of "$address$path")" "$address$path"
  if grep -qF -e "$scratch" -e "plan.h5" -e "backbone.pt" body header; then
    echo "$path tells where files are" >&2
    exit 1
  fi
done
stop_server
