-- Ids of a list, newest first, from behind one of them; or nothing if that one is not in the list.
--
-- KEYS  the list
-- ARGV  the id to begin behind, or an empty one to begin at the start; how many

local first = 0
if ARGV[1] ~= '' then
  local place = redis.call('ZREVRANK', KEYS[1], ARGV[1])
  if not place then
    return false
  end
  first = place + 1
end
return redis.call('ZREVRANGE', KEYS[1], first, first + ARGV[2] - 1)
