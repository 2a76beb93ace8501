-- What a beat answers, where Redis takes no writes: the epoch or false, Redis' time in seconds and microseconds, and the id
-- of the last entry twice, because nothing was appended.
--
-- KEYS  epoch, changes

local now = redis.call('TIME')
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local at = last and last[1] or '0-0'
return {redis.call('GET', KEYS[1]), now[1], now[2], at, at}
