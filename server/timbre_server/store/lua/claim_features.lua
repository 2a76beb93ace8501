-- The blob, or why it cannot be made, or the right to make it, or how long another has that right.
-- KEYS: features, lease, failure.  ARGV: field, token, lease in ms, life of the features in s.
local blob = redis.call('HGET', KEYS[1], ARGV[1])
if blob then
  redis.call('EXPIRE', KEYS[1], ARGV[4])
  return {'held', blob}
end
local failure = redis.call('GET', KEYS[3])
if failure then
  return {'failed', failure}
end
if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then
  return {'granted'}
end
local left = redis.call('PTTL', KEYS[2])
if left == -1 then -- every lease of ours ends, so this is none
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
  return {'granted'}
end
return {'taken', left}
