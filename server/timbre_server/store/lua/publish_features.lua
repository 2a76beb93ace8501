-- Stores a blob if the lease still is the caller's (1), else nothing (0): whoever erased the features took the lease away.
-- KEYS: features, lease.  ARGV: field, token, life in s, blob, most fields, channel, message.
if redis.call('GET', KEYS[2]) ~= ARGV[2] then
  return 0
end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', ARGV[6], ARGV[7])
return 1
