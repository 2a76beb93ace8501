#!lua flags=allow-oom
-- Says that a pod is there, and keeps the log flowing: appends a heartbeat if nothing was appended for a while, so that
-- the rate does not grow with the pods.  Returns the epoch or false, Redis' time in seconds and microseconds, and the id of
-- the last entry before and after.
--
-- KEYS  epoch, changes, pods
-- ARGV  pod, quiet milliseconds before a heartbeat, milliseconds after which a silent pod is forgotten, entries to keep

local now = redis.call('TIME')
local milliseconds = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZADD', KEYS[3], string.format('%.0f', milliseconds), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', milliseconds - ARGV[3]))

local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local before = last and last[1] or '0-0'
local after = before
local quiet = milliseconds - string.match(before, '^%d+')
if quiet >= tonumber(ARGV[2]) or quiet < 0 then -- below zero: Redis' clock went back
  after = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'kind', 'heartbeat')
end
return {redis.call('GET', KEYS[1]), now[1], now[2], before, after}
