-- Erases a voice and leaves its tombstone.  Returns the record as it was and the id of the change, or nothing.

local before = redis.call('HMGET', VOICE, unpack(RECORD))
if not before[1] then
  return false
end
redis.call('DEL', VOICE)
redis.call('ZREM', VOICES, ID)
redis.call('HSET', TOMBSTONES, ID, before[1])
return {before, tell('deleted', before[1], before[2], '')}
