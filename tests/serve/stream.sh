# A query batch over WebSocket, from Python's and Node's clients: an answer per item as its exit
# resolves it, then a summary.
. "$(dirname "$0")/support.sh"
"$python" -c 'import numpy, websockets' 2>/dev/null ||
  skip "no numpy and websockets for $python (apt: python3-numpy python3-websockets)"
make_model
start_server
"$python" "$tests/v2.py" 40
answers 200 --data-binary @infer.json "$address/v2/models/backbone/infer"
"$python" "$tests/stream.py" "$address" body
node "$tests/stream.mjs" "$address" frame.bin
[ "$(counted cachectl_exits_total)" -ge 200 ]
stop_server
