#!lua flags=allow-oom
-- Says in the log that a pod has acted on a change, even where memory is full: a deletion waits for it.
--
-- KEYS  changes
-- ARGV  pod, id of the change's entry, entries to keep

return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'kind', 'acknowledged', 'pod', ARGV[1], 'entry', ARGV[2])
