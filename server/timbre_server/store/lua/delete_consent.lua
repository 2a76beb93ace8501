-- Erases a consent.  Returns 1, or 0 if there is none.
--
-- KEYS  epoch, consent, consents
-- ARGV  a new word for the epoch, id

if redis.call('DEL', KEYS[2]) == 0 then
  return 0
end
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return 1
