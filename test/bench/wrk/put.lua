-- Blind writes of random bytes to random keys, as `anneal bench load --workloads put` sends them.
--   wrk -t1 -c64 -d5s --latency -s put.lua http://127.0.0.1:8801 -- [KEYS] [VALUE_BYTES] [BUCKET]
-- The bucket must settle conflicts by the last write, see docs/how-to/benchmark.md.

local keys = 100000
local value_bytes = 256
local bucket = "bench-put"
local tail = ""
local writes = 0

function init(args)
  keys = tonumber(args[1]) or keys
  value_bytes = tonumber(args[2]) or value_bytes
  bucket = args[3] or bucket
  math.randomseed(1)
  local bytes = {}
  for i = 1, math.max(value_bytes - 8, 0) do
    bytes[i] = string.char(math.random(0, 255))
  end
  tail = table.concat(bytes)
  wrk.headers["Content-Type"] = "application/octet-stream"
end

function request()
  -- The first bytes differ from write to write, so that no two values are equal.
  writes = writes + 1
  local value = string.sub(string.format("%08x", writes) .. tail, 1, value_bytes)
  local path = string.format("/kv/%s/key-%010d", bucket, math.random(0, keys - 1))
  return wrk.format("PUT", path, nil, value)
end
