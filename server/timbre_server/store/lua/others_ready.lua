-- How many pods beside one are ready.
-- KEYS: ready pods.  ARGV: pod, milliseconds for which a pod is believed.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local count = 0
for _, pod in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], string.format('%.0f', now - ARGV[2]), '+inf')) do
  if pod ~= ARGV[1] then
    count = count + 1
  end
end
return count
