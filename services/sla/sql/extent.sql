-- First and last time of any point of one metric; no row when there is none.
SELECT
    toUnixTimestamp64Milli(min(first_seen)) AS first_ms,
    toUnixTimestamp64Milli(max(last_seen)) AS last_ms
FROM series
WHERE tenant = {tenant:String} AND metric = {metric:String} AND type IN ('histogram', 'exp_histogram')
HAVING count() > 0
