-- Prolongs a lease: 0 = it is not the caller's any more, 1 = it is, 2 = it is, and others wait for what comes of it.
-- KEYS: lease.  ARGV: token, lease in ms.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1 + redis.call('HEXISTS', KEYS[1], 'awaited')
