-- Puts back the tombstone of a voice that was deleted before Redis was emptied, and removes the voice if a pod that had not
-- heard of the deletion has published it again.  Returns 1 if anything changed, else 0.
--
-- ARGV  generation

local generation = tonumber(ARGV[5])
local known_generation, known_digest = unpack(redis.call('HMGET', VOICE, 'generation', 'digest'))
if (tonumber(known_generation) or 0) > generation or (tonumber(redis.call('HGET', TOMBSTONES, ID)) or 0) >= generation then
  return 0
end
redis.call('DEL', VOICE)
redis.call('ZREM', VOICES, ID)
redis.call('HSET', TOMBSTONES, ID, generation)
if known_generation then
  tell('deleted', known_generation, known_digest, '')
end
return 1
