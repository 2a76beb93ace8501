-- Redis' time in milliseconds, and the pods that lived when a change was made, each with when it was last seen.
-- A change can have an id ahead of the clock: a stream's ids never go back, a clock that is set and a new master's may.
--
-- KEYS  pods
-- ARGV  milliseconds of the change's id, milliseconds after its last beat for which a pod counts as alive

local now = redis.call('TIME')
local milliseconds = now[1] * 1000 + math.floor(now[2] / 1000)
local since = string.format('%.0f', math.min(milliseconds, tonumber(ARGV[1])) - ARGV[2])
return {string.format('%.0f', milliseconds), redis.call('ZRANGEBYSCORE', KEYS[1], since, '+inf', 'WITHSCORES')}
