-- Reads of random keys, as `anneal bench load --workloads get` sends them; load the keys first.
--   wrk -t1 -c64 -d5s --latency -s get.lua http://127.0.0.1:8801 -- [KEYS] [BUCKET]

local keys = 100000
local bucket = "bench-put"

function init(args)
  keys = tonumber(args[1]) or keys
  bucket = args[2] or bucket
  math.randomseed(1)
end

function request()
  return wrk.format("GET", string.format("/kv/%s/key-%010d", bucket, math.random(0, keys - 1)))
end
