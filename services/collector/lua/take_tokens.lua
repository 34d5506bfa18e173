-- Takes tokens out of all buckets of one key, or out of none; see TokenBuckets.take in quota_ports.py.
-- KEYS[1]: a hash with a level and a time (microseconds of the server) for each bucket.
-- ARGV: name, rate a second, capacity, need, wish; again for each further bucket.
-- Returns {1, taken, ...}, or {0, microseconds to wait}. A refusal writes nothing.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local levels = {}
local wait = 0
for at = 1, #ARGV, 5 do
    local rate, capacity = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local kept = redis.call('HMGET', KEYS[1], ARGV[at], ARGV[at] .. '.at')
    local level = capacity
    if kept[1] and kept[2] then
        -- A clock that was set back must not take tokens away.
        local passed = math.max(0, now - tonumber(kept[2]))
        level = math.min(capacity, tonumber(kept[1]) + passed * rate / 1000000)
    end
    if level < 1 then
        wait = math.max(wait, math.ceil((1 - level) * 1000000 / rate) + 1)
    end
    levels[at] = level
end
if wait > 0 then
    return {0, wait}
end
local answer = {1}
local full_in = 0
for at = 1, #ARGV, 5 do
    local rate, capacity = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local taken = math.max(tonumber(ARGV[at + 3]), math.min(tonumber(ARGV[at + 4]), math.floor(levels[at])))
    local left = levels[at] - taken
    redis.call('HSET', KEYS[1], ARGV[at], string.format('%.6f', left), ARGV[at] .. '.at', string.format('%.0f', now))
    full_in = math.max(full_in, (capacity - left) / rate)
    answer[#answer + 1] = taken
end
-- A full bucket is what a missing one is.
redis.call('PEXPIRE', KEYS[1], math.ceil(full_in * 1000) + 1000)
return answer
