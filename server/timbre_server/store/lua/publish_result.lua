-- Stores a blob if the lease still is the caller's (1), else nothing (0): whoever erased the voice took the lease away.
-- Without a token it is stored in any case, and a lease of another is left alone.
-- KEYS: result, lease.  ARGV: token, life in s, blob, channel, message.
if ARGV[1] ~= '' and redis.call('HGET', KEYS[2], 'token') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[2])
if ARGV[1] ~= '' then
  redis.call('DEL', KEYS[2])
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
