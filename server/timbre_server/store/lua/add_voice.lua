-- Stores a new voice.  Returns its generation, or 0 if the id is taken.
--
-- ARGV  digest, name, created_at, updated_at, transcript, consent_id, reference

local digest, name, created_at, updated_at, transcript, consent_id, reference = unpack(ARGV, 5)
if redis.call('EXISTS', VOICE) == 1 then
  return 0
end
local generation = (tonumber(redis.call('HGET', TOMBSTONES, ID)) or 0) + 1
redis.call('HSET', VOICE, 'generation', generation, 'digest', digest, 'name', name, 'created_at', created_at,
  'updated_at', updated_at, 'transcript', transcript, 'consent_id', consent_id, 'reference', reference)
redis.call('HDEL', TOMBSTONES, ID)
list(created_at)
tell('enrolled', generation, digest, '')
return generation
