-- Stores a consent.
--
-- KEYS  epoch, sequence, consent, consents
-- ARGV  a new word for the epoch, id, created_at, then fields and values

local new_epoch, id, created_at = unpack(ARGV)
redis.call('HSET', KEYS[3], unpack(ARGV, 4))
redis.call('SET', KEYS[1], new_epoch, 'NX')
local place = redis.call('INCR', KEYS[2]) % 1048576
redis.call('ZADD', KEYS[4], string.format('%.0f', tonumber(created_at) * 1048576 + place), id)
return 1
