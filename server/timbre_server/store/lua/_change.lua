-- Begins every script that changes a voice: names what all of them get, and tells of the change.
--
-- KEYS  epoch, sequence, changes, voice, voices, tombstones
-- ARGV  channel, a new word for the epoch, tenant, id; then the script's own
--
-- Where memory is short, Redis refuses a script's first command that may need more, and lets one go on that has written
-- already.  So a script that stores begins with its big HSET, and one that erases with its DEL.

local EPOCH, SEQUENCE, CHANGES, VOICE, VOICES, TOMBSTONES = unpack(KEYS)
local CHANNEL, NEW_EPOCH, TENANT, ID = unpack(ARGV)
local RECORD = {'generation', 'digest', 'name', 'created_at', 'updated_at', 'transcript', 'consent_id'}

-- Appends the change to the log and says so on the channel; returns the entry's id.
local function tell(kind, generation, digest, previous)
  redis.call('SET', EPOCH, NEW_EPOCH, 'NX')
  local entry = redis.call('XADD', CHANGES, 'MAXLEN', '~', 10000, '*', 'kind', kind, 'tenant', TENANT, 'voice', ID,
    'generation', generation, 'digest', digest, 'previous', previous)
  redis.call('PUBLISH', CHANNEL, 'change ' .. entry)
  return entry
end

-- Lists the voice by the second of its creation, and within one second by the order of arrival, 2^20 places per second:
-- a double holds both exactly until the year 2242.
local function list(created_at)
  local place = redis.call('INCR', SEQUENCE) % 1048576
  redis.call('ZADD', VOICES, string.format('%.0f', tonumber(created_at) * 1048576 + place), ID)
end
