-- When the senders of one metric reported anything else in (low, high], and each one's first such report
-- after high: up to three series a sender that report with or without traffic.
WITH beats AS (
    SELECT metric_id AS beat_metric, series_id AS beat_series, any(sender_id) AS who
    FROM series
    WHERE tenant = {tenant:String} AND (type = 'gauge' OR (type = 'sum' AND temporality = 'cumulative'))
        AND sender_id IN (
            SELECT sender_id FROM series
            WHERE tenant = {tenant:String} AND metric = {metric:String}
                AND type IN ('histogram', 'exp_histogram')
        )
    GROUP BY beat_metric, beat_series
    ORDER BY who, beat_metric, beat_series
    LIMIT 3 BY who
)
SELECT who AS sender, ts
FROM points INNER JOIN beats ON metric_id = beat_metric AND series_id = beat_series
WHERE tenant = {tenant:String} AND (metric_id, series_id) IN (SELECT beat_metric, beat_series FROM beats)
    AND ts > fromUnixTimestamp64Milli({low:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({high:Int64}, 'UTC')
GROUP BY sender, ts
UNION ALL
SELECT who AS sender, min(ts) AS ts
FROM points INNER JOIN beats ON metric_id = beat_metric AND series_id = beat_series
WHERE tenant = {tenant:String} AND (metric_id, series_id) IN (SELECT beat_metric, beat_series FROM beats)
    AND points.ts > fromUnixTimestamp64Milli({high:Int64}, 'UTC')
GROUP BY sender
