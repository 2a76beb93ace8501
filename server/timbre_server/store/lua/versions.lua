-- What the registry knows of some voices, seen at one moment: the epoch, and for each voice its generation and digest,
-- else the generation of its tombstone and false, else false and false.
--
-- KEYS  epoch, then for each voice its record and the tombstones of its tenant
-- ARGV  for each voice its id

local seen = {redis.call('GET', KEYS[1])}
for place, id in ipairs(ARGV) do
  local version = redis.call('HMGET', KEYS[2 * place], 'generation', 'digest')
  if not version[1] then
    version = {redis.call('HGET', KEYS[2 * place + 1], id), false}
  end
  seen[2 * place], seen[2 * place + 1] = version[1], version[2]
end
return seen
