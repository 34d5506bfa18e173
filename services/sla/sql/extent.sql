-- First and last time of any point of one metric; no row when there is none. A series says when it was first
-- seen on a day and not more, so points before and after that are looked for.
WITH
    (
        SELECT (min(first_seen), max(last_seen), count())
        FROM series
        WHERE tenant = {tenant:String} AND metric = {metric:String} AND type IN ('histogram', 'exp_histogram')
    ) AS seen
SELECT
    toUnixTimestamp64Milli(least(seen.1, min(ts))) AS first_ms,
    toUnixTimestamp64Milli(greatest(seen.2, max(ts))) AS last_ms
FROM (
    SELECT ts FROM histograms
    WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND (ts <= seen.1 OR ts >= seen.2)
    UNION ALL
    SELECT ts FROM exp_histograms
    WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND (ts <= seen.1 OR ts >= seen.2)
)
HAVING seen.3 > 0 AND count() > 0
