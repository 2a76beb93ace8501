-- Ends a lease, if it still is the caller's (1).
-- KEYS: lease.  ARGV: token, channel, message.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
