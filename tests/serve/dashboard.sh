# The page in Chromium while traffic runs: nothing in the console, no request to elsewhere, an
# image dropped into the box is answered. Screenshots in build/web/screenshots.
. "$(dirname "$0")/support.sh"
"$python" -c 'import numpy' 2>/dev/null || skip "no numpy for $python (apt: python3-numpy)"
make_model
start_server
"$python" "$tests/v2.py" 40
(while curl -sS -o ignored --data-binary @infer.json "$address/v2/models/backbone/infer"; do sleep 0.2; done) 2>/dev/null &
status=0
node "$tests/dashboard.test.mjs" "$address" "$build/web/screenshots" open || status=$?
[ "$status" -eq 77 ] && exit 77
[ "$status" -eq 0 ]
stop_server

# With a token: the page asks for it.
echo "a-token/with+signs" >token
start_server --token-file token
node "$tests/dashboard.test.mjs" "$address" "$build/web/screenshots" "$(cat token)"
stop_server
