-- What wrk sends: requests of a plan, drawn by weight. The plan is a file of Lua, named by LOAD_PLAN:
--   {requests = {{weight=, method=, path=, body=, headers={}}…}, think_ms = 0, watch = false, seed = 1}
-- A user who thinks waits half to one and a half of think_ms before each request. What is watched is counted by its
-- status and its x-cache. One line of JSON comes out at the end, times in ms.
local plan = dofile(os.getenv("LOAD_PLAN"))
local sums, texts, total, threads = {}, {}, 0, {}
counted = {}

function setup(thread)
   thread:set("number", #threads)
   table.insert(threads, thread)
end

function init()
   math.randomseed(plan.seed + (number or 0))
   for at, one in ipairs(plan.requests) do
      total = total + one.weight
      sums[at] = total
      texts[at] = wrk.format(one.method, one.path, one.headers, one.body)
   end
end

function request()
   local drawn, low, high = math.random() * total, 1, #sums
   while low < high do
      local middle = math.floor((low + high) / 2)
      if sums[middle] < drawn then low = middle + 1 else high = middle end
   end
   return texts[low]
end

if plan.think_ms > 0 then
   function delay()
      return plan.think_ms * (0.5 + math.random())
   end
end

if plan.watch then
   function response(status, headers)
      local word = status .. " " .. (headers["x-cache"] or "-")
      counted[word] = (counted[word] or 0) + 1
   end
end

function done(summary, latency)
   local words = {}
   for _, thread in ipairs(threads) do
      for word, count in pairs(thread:get("counted") or {}) do
         words[word] = (words[word] or 0) + count
      end
   end
   local parts = {}
   for word, count in pairs(words) do
      table.insert(parts, string.format('"%s":%d', word, count))
   end
   local errors = summary.errors
   io.write(string.format(
      '{"median":%.4f,"p95":%.4f,"p99":%.4f,"max":%.4f,"requests":%d,"seconds":%.4f,"bytes":%d,"refused":%d,"broken":%d,"counted":{%s}}\n',
      latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000, latency.max / 1000,
      summary.requests, summary.duration / 1e6, summary.bytes,
      errors.status, errors.connect + errors.read + errors.write + errors.timeout, table.concat(parts, ",")))
end
