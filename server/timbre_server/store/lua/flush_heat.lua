-- Adds uses to the popularity of voices.  A score is a time in seconds: the one at which a single use would weigh as much as
-- all uses together do.  So nothing overflows, nothing needs to be decayed, and another half life keeps the scale.
-- KEYS: heat.  ARGV: half life in s, most members, life in s, how many are removed, those, then member and uses in turn.
local half_life = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local removed = tonumber(ARGV[4])
for i = 5, 4 + removed do
  redis.call('ZREM', KEYS[1], ARGV[i])
end
for i = 5 + removed, #ARGV, 2 do
  local score = now + half_life * math.log(tonumber(ARGV[i + 1])) / math.log(2)
  local before = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if before then
    before = tonumber(before)
    local higher, lower = math.max(before, score), math.min(before, score)
    score = higher + half_life * math.log(1 + 2 ^ ((lower - higher) / half_life)) / math.log(2)
  end
  redis.call('ZADD', KEYS[1], string.format('%.6f', score), ARGV[i])
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[2]) - 1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return redis.call('ZCARD', KEYS[1])
