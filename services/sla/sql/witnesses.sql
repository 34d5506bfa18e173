-- When a tenant reported anything else than one metric in (low, high], and each sender's next such report:
-- a sample of the series of the days around that report with or without traffic, up to three a sender.
-- The sample is by hash, so that senders of which many come and go are in it with those that stay.
WITH heard AS (
    SELECT metric_id AS heard_metric, series_id AS heard_series, any(sender_id) AS who
    FROM series
    WHERE tenant = {tenant:String} AND metric != {metric:String}
        AND (type = 'gauge' OR (type = 'sum' AND temporality = 'cumulative'))
        AND day >= toDate(fromUnixTimestamp64Milli({low:Int64}, 'UTC'), 'UTC')
        AND day <= toDate(fromUnixTimestamp64Milli({high:Int64}, 'UTC'), 'UTC') + 1
    GROUP BY heard_metric, heard_series
    ORDER BY cityHash64(heard_series), heard_metric
    LIMIT 3 BY who
    LIMIT 120
)
SELECT who AS sender, ts
FROM points INNER JOIN heard ON metric_id = heard_metric AND series_id = heard_series
WHERE tenant = {tenant:String} AND (metric_id, series_id) IN (SELECT heard_metric, heard_series FROM heard)
    AND ts > fromUnixTimestamp64Milli({low:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({high:Int64}, 'UTC')
GROUP BY sender, ts
UNION ALL
SELECT who AS sender, min(ts) AS ts
FROM points INNER JOIN heard ON metric_id = heard_metric AND series_id = heard_series
WHERE tenant = {tenant:String} AND (metric_id, series_id) IN (SELECT heard_metric, heard_series FROM heard)
    AND points.ts > fromUnixTimestamp64Milli({high:Int64}, 'UTC')
GROUP BY sender
