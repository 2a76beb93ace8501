-- Stores a new recording under an id; name, time of creation and place in the list stay.
-- Returns the record as it was before, or nothing if there is none.
--
-- ARGV  digest, updated_at, transcript, consent_id, reference

local digest, updated_at, transcript, consent_id, reference = unpack(ARGV, 5)
local before = redis.call('HMGET', VOICE, unpack(RECORD))
if not before[1] then
  return false
end
local generation = tonumber(before[1]) + 1
redis.call('HSET', VOICE, 'generation', generation, 'digest', digest, 'updated_at', updated_at,
  'transcript', transcript, 'consent_id', consent_id, 'reference', reference)
tell('replaced', generation, digest, before[2])
return before
