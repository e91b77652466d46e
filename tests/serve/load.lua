-- wrk -s load.lua URL -- BODY [JSON-BYTES [FILES]]: posts the file, or BODY.1 to BODY.FILES in turn,
-- again and again and prints how often each status came, one "status N TIMES" a line.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local names = {args[1]}
  for i = 1, tonumber(args[3] or 0) do names[i] = args[1] .. "." .. i end
  if args[2] then wrk.headers["Inference-Header-Content-Length"] = args[2] end
  requests, turn = {}, 0
  for i, name in ipairs(names) do
    local file = assert(io.open(name, "rb"))
    requests[i] = wrk.format("POST", nil, nil, file:read("*a"))
    file:close()
  end
  counts = {}
  without_retry = 0
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function response(status, headers, body)
  counts[status] = (counts[status] or 0) + 1
  if status == 503 and not headers["Retry-After"] then without_retry = without_retry + 1 end
end

function done(summary, latency, requests)
  local all, silent = {}, 0
  for _, thread in ipairs(threads) do
    for status, times in pairs(thread:get("counts")) do all[status] = (all[status] or 0) + times end
    silent = silent + thread:get("without_retry")
  end
  for status, times in pairs(all) do print(string.format("status %d %d", status, times)) end
  print(string.format("without_retry %d", silent))
  local errors = summary.errors
  print(string.format("broken %d", errors.connect + errors.read + errors.write))
  print(string.format("timeouts %d", errors.timeout))
  print(string.format("seconds %.3f", summary.duration / 1e6))
  print(string.format("p50_ms %.3f", latency:percentile(50) / 1000))
  print(string.format("p99_ms %.3f", latency:percentile(99) / 1000))
end
