# What pipelines/deploy holds, as far as one machine can try it: nginx before two replicas, one of
# which is killed under load; the systemd unit verified; the KServe manifest's flags and probes.
. "$(dirname "$0")/support.sh"
"$python" -c 'import numpy, websockets, yaml' 2>/dev/null ||
  skip "no numpy, websockets and yaml for $python (apt: python3-numpy python3-websockets python3-yaml)"
deploy=$source_dir/pipelines/deploy

# The unit, with this build's executable in its place.
if command -v systemd-analyze >/dev/null; then
  sed "s|/usr/local/bin/|$bin/|" "$deploy/cachectl-serve@.service" >cachectl-serve@.service
  SYSTEMD_LOG_LEVEL=warning systemd-analyze verify "$scratch/cachectl-serve@8081.service" >unit 2>&1 || { cat unit; exit 1; }
  # Of the units around it this machine may say what it likes; not of ours.
  if grep -F "cachectl-serve" unit; then exit 1; fi
else
  echo "no systemd-analyze here: the unit was not verified"
fi

# Every flag that a deployment names is one of the tool's.
"$bin/cachectl-serve" --list-flags >flags
grep -hE '^ExecStart=|^ +- --' "$deploy/kserve.yaml" "$deploy/cachectl-serve@.service" |
  grep -oE -- '--[a-z-]+' | sort -u |
  while read -r flag; do grep -q -- "^$flag " flags || { echo "no such flag: $flag" >&2; exit 1; }; done

make_model
"$python" "$tests/v2.py" 40
command -v nginx >/dev/null || skip "no nginx (apt: nginx-light)"
start_server
one=$server_pid one_port=${address##*:}
start_server
two=$server_pid two_port=${address##*:}
# The manifest's probes are answered.
"$python" - "$deploy/kserve.yaml" "$address" <<'PY'
import sys, urllib.request, yaml
manifest = yaml.safe_load(open(sys.argv[1]))
assert manifest["apiVersion"] == "serving.kserve.io/v1beta1" and manifest["kind"] == "InferenceService"
(container,) = manifest["spec"]["predictor"]["containers"]
port = container["ports"][0]["containerPort"]
assert f"--port={port}" in container["args"]
for probe in ("readinessProbe", "livenessProbe"):
    assert container[probe]["httpGet"]["port"] == port
    assert urllib.request.urlopen(sys.argv[2] + container[probe]["httpGet"]["path"]).status == 200
PY

front=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir nginx
sed -e "s/127.0.0.1:8080/127.0.0.1:$front/" -e "s/:8081 /:$one_port /" -e "s/:8082 /:$two_port /" \
  "$deploy/nginx.conf" >nginx/nginx.conf
nginx -p "$scratch/nginx" -c nginx.conf -g 'daemon off;' 2>nginx.log &
nginx_pid=$!
address=http://127.0.0.1:$front
for i in $(seq 50); do curl -s -o ignored "$address/v2" && break; sleep 0.1; done

answers 200 "$address/v2/models/backbone"
answers 200 --data-binary @infer.json "$address/v2/models/backbone/infer"
cp body answer
answers 404 "$address/metrics"
"$python" "$tests/stream.py" "$address" answer

# Both are asked; when one is told to end, and when it is gone, nobody notices.
load 6 8 infer.bin "$(cat infer.length)" &
load_pid=$!
sleep 2
kill -TERM "$one"
wait "$one"
wait "$load_pid"
cat loaded
[ "$(of_load 'status 200')" -gt 10 ]
[ "$(grep -c '^status' loaded)" -eq 1 ]
[ "$(of_load broken)" -eq 0 ]
kill -TERM "$nginx_pid"
wait "$nginx_pid" 2>/dev/null || true
kill -TERM "$two"
wait "$two"
