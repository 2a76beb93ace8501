-- Puts back a voice that was lost, generation and all.  Returns 1 if anything was missing, else 0.
--
-- ARGV  generation, digest, name, created_at, updated_at, transcript, consent_id, and the reference if the caller has it

local generation, digest, name, created_at, updated_at, transcript, consent_id, reference = unpack(ARGV, 5)
local known_generation, known_digest = unpack(redis.call('HMGET', VOICE, 'generation', 'digest'))
local buried = tonumber(redis.call('HGET', TOMBSTONES, ID)) or 0
local known = tonumber(known_generation) or 0
if known >= tonumber(generation) or buried >= tonumber(generation) then
  -- Whoever put it back had no recording of it, and this caller has the very one.
  if known == tonumber(generation) and known_digest == digest and reference
      and redis.call('HSETNX', VOICE, 'reference', reference) == 1 then
    return 1
  end
  return 0
end
redis.call('HSET', VOICE, 'generation', generation, 'digest', digest, 'name', name, 'created_at', created_at,
  'updated_at', updated_at, 'transcript', transcript, 'consent_id', consent_id)
if reference then
  redis.call('HSET', VOICE, 'reference', reference)
elseif known_digest ~= digest then
  redis.call('HDEL', VOICE, 'reference')
end
redis.call('HDEL', TOMBSTONES, ID)
if not known_generation then
  list(created_at)
end
tell('enrolled', generation, digest, known_digest or '')
return 1
