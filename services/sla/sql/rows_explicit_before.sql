-- The last point of each (series, start) before the near range, for the series that have none in it.
SELECT
    series_id, start, start_ns, ts, ts_ns, bits, count, bounds, counts AS buckets
FROM histograms
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0
    AND ts <= fromUnixTimestamp64Milli({near:Int64}, 'UTC')
    AND has({series:Array(UInt64)}, series_id)
ORDER BY series_id, start, start_ns, ts DESC, ts_ns DESC
LIMIT 1 BY series_id, start, start_ns
