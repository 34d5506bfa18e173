-- First and last time of any number point of one metric; no row when there is none.
SELECT toUnixTimestamp64Milli(min(ts)) AS first_ms, toUnixTimestamp64Milli(max(ts)) AS last_ms
FROM points
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32}
HAVING count() > 0
