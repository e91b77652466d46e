# Sourced by the scripts of this folder: what tests/cli has, and a server to ask.
. "$(dirname "${BASH_SOURCE[0]}")/../cli/support.sh"
build=${CACHECTL_BUILD:?the build folder}
python=${CACHECTL_PYTHON:-/usr/bin/python3}
tests=$source_dir/tests/serve
server_pid=
trap 'stop_all; rm -rf "$scratch"' EXIT

stop_all() { # those that are still there
  local pid
  for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done
  sleep 0.3 # nginx ends its own
  for pid in $(jobs -p); do kill -9 "$pid" 2>/dev/null || true; done
}

# make_model [ARCH]: a small backbone and a plan in the scratch folder.
make_model() { "$build/tests/make_cached_backbone" "$scratch" "$@"; }

# start_server FLAGS...: of the small model, on $port or a free one. Sets server_pid and address.
start_server() {
  rm -f address
  "$bin/cachectl-serve" --config config.yaml --backbone backbone.pt --plan plan.h5 --port "${port:-0}" \
    --threads 2 "$@" >address 2>server.log &
  server_pid=$!
  local i
  for i in $(seq 200); do
    [ -s address ] && break
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.1
  done
  address=$(cat address)
  [ -n "$address" ] || { echo "the server did not start:" >&2; cat server.log >&2; return 1; }
}

# stop_server STATUS: SIGTERM, and wants this exit status.
stop_server() {
  local status=0
  kill -TERM "$server_pid"
  wait "$server_pid" || status=$?
  [ "$status" -eq "${1:-0}" ] || { echo "the server ended with $status" >&2; cat server.log >&2; return 1; }
}

# status_of CURL-ARGUMENTS...: the HTTP status alone; the body is in body, the header in header.
status_of() { curl -sS -o body -D header -w '%{http_code}' --max-time 60 "$@"; }
# answers STATUS CURL-ARGUMENTS...
answers() {
  local wanted=$1 got
  shift
  got=$(status_of "$@")
  [ "$got" = "$wanted" ] || { echo "status $got, expected $wanted: $*" >&2; cat body >&2; return 1; }
}

# counted NAME: the sum of a metric's series.
counted() { curl -sS "$address/metrics" | awk -v name="$1" '$1 ~ "^" name "({|$)" {sum += $2} END {print sum + 0}'; }

# load SECONDS CONNECTIONS BODY [JSON-BYTES]: wrk's counts in loaded; see load.lua.
load() {
  wrk -t1 -c"$2" -d"$1" --timeout 30 -s "$tests/load.lua" "$address/v2/models/backbone/infer" -- "${@:3}" >loaded
}
# of_load NAME: "status 200", "broken"...; 0 where it did not come.
of_load() { awk -v name="$1 " 'index($0, name) == 1 {value = $NF} END {print value + 0}' loaded; }
