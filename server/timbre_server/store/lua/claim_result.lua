-- The blob, or the right to make it, or how long another has that right, which learns by this that somebody waits.
-- KEYS: result, lease.  ARGV: token, lease in ms.
local blob = redis.call('GET', KEYS[1])
if blob then
  return {'held', blob}
end
local left = redis.call('PTTL', KEYS[2])
if left >= 0 then
  redis.call('HSET', KEYS[2], 'awaited', 1)
  return {'taken', left}
end
if left == -1 then -- every lease of ours ends, so this is none
  redis.call('DEL', KEYS[2])
end
redis.call('HSET', KEYS[2], 'token', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {'granted'}
