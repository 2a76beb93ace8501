-- Prolongs a lease, if it still is the caller's (1).
-- KEYS: lease.  ARGV: token, lease in ms.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
