-- Gives a consent another name.  Returns 1, or 0 if there is none.
--
-- KEYS  epoch, consent
-- ARGV  a new word for the epoch, name

if redis.call('EXISTS', KEYS[2]) == 0 then
  return 0
end
redis.call('HSET', KEYS[2], 'name', ARGV[2])
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return 1
