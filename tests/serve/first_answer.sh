# The first answer of a 64-item batch comes well before the last one.
. "$(dirname "$0")/support.sh"
"$python" -c 'import numpy, websockets' 2>/dev/null ||
  skip "no numpy and websockets for $python (apt: python3-numpy python3-websockets)"
make_model resnet56 # whose batch takes longer than its way through the network
start_server --threads 1 --workers 1 --delay-ms 0
"$python" "$tests/first_answer.py" "$address"
stop_server
