-- How many blobs there were; they are gone, and so is the lease: what is extracted now cannot be published.
-- KEYS: features, lease.  ARGV: channel, message.
local blobs = redis.call('HLEN', KEYS[1])
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return blobs
