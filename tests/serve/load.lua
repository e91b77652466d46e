-- wrk -s load.lua URL -- BODY [JSON-BYTES]: posts the file again and again and prints how often
-- each status came, one "status N TIMES" a line.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  file:close()
  if args[2] then wrk.headers["Inference-Header-Content-Length"] = args[2] end
  counts = {}
  without_retry = 0
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
