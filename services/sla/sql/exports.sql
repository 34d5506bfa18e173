-- When the series of one metric reported in (low, high], and each one's first report after high. An absent
-- or unknown start (bits) is 0.
SELECT series_id, ts, if(bits = 0, start, toDateTime64(0, 3, 'UTC')) AS since
FROM histograms
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32}
    AND ts > fromUnixTimestamp64Milli({low:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({high:Int64}, 'UTC')
UNION ALL
SELECT * FROM (
SELECT series_id, ts, if(bits = 0, start, toDateTime64(0, 3, 'UTC')) AS since
FROM histograms
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32}
    AND ts > fromUnixTimestamp64Milli({high:Int64}, 'UTC')
ORDER BY series_id, ts
LIMIT 1 BY series_id
)
UNION ALL
SELECT series_id, ts, if(bits = 0, start, toDateTime64(0, 3, 'UTC')) AS since
FROM exp_histograms
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32}
    AND ts > fromUnixTimestamp64Milli({low:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({high:Int64}, 'UTC')
UNION ALL
SELECT * FROM (
SELECT series_id, ts, if(bits = 0, start, toDateTime64(0, 3, 'UTC')) AS since
FROM exp_histograms
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32}
    AND ts > fromUnixTimestamp64Milli({high:Int64}, 'UTC')
ORDER BY series_id, ts
LIMIT 1 BY series_id
)
