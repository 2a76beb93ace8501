-- Remembers a failure, if the lease still is the caller's (1), and ends the lease.
-- KEYS: lease, failure.  ARGV: token, failure, its life in ms, channel, message.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if tonumber(ARGV[3]) > 0 then
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
