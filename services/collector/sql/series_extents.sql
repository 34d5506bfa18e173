-- First and last point of some series in a range, whatever their type.
SELECT
    metric_id,
    series_id,
    toUnixTimestamp64Milli(min(ts)) AS first_ms,
    toUnixTimestamp64Milli(max(ts)) AS last_ms
FROM (
    SELECT tenant, metric_id, series_id, ts FROM points
    UNION ALL
    SELECT tenant, metric_id, series_id, ts FROM histograms
    UNION ALL
    SELECT tenant, metric_id, series_id, ts FROM exp_histograms
    UNION ALL
    SELECT tenant, metric_id, series_id, ts FROM summaries
)
WHERE tenant = {tenant:String}
    AND metric_id IN {metric_ids:Array(UInt32)}
    AND series_id IN {series_ids:Array(UInt64)}
    AND ts >= fromUnixTimestamp64Milli({start_ms:Int64}) AND ts < fromUnixTimestamp64Milli({end_ms:Int64})
GROUP BY metric_id, series_id
