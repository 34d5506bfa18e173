-- Every point of one metric whose interval may overlap (low, high]: those inside, the last one of each
-- (series, start) shortly before, and the first one after that began before the end. Only cumulative
-- points need one from before; where it lies further back, rows_before.sql finds it.
SELECT
    series_id, start, start_ns, ts, ts_ns, bits, count, scale, positive_offset AS first_bucket,
    zero_count + arraySum(negative_counts) AS zeros, zero_threshold, positive_counts AS buckets
FROM exp_histograms
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0
    AND ts > fromUnixTimestamp64Milli({low:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({high:Int64}, 'UTC')
UNION ALL
SELECT * FROM (
SELECT
    series_id, start, start_ns, ts, ts_ns, bits, count, scale, positive_offset AS first_bucket,
    zero_count + arraySum(negative_counts) AS zeros, zero_threshold, positive_counts AS buckets
FROM exp_histograms
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0
    AND ts > fromUnixTimestamp64Milli({near:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({low:Int64}, 'UTC')
ORDER BY series_id, start, start_ns, ts DESC, ts_ns DESC
LIMIT 1 BY series_id, start, start_ns
)
UNION ALL
SELECT * FROM (
SELECT
    series_id, start, start_ns, ts, ts_ns, bits, count, scale, positive_offset AS first_bucket,
    zero_count + arraySum(negative_counts) AS zeros, zero_threshold, positive_counts AS buckets
FROM exp_histograms
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0
    AND ts > fromUnixTimestamp64Milli({high:Int64}, 'UTC')
    AND start < fromUnixTimestamp64Milli({high:Int64}, 'UTC')
ORDER BY series_id, start, start_ns, ts, ts_ns
LIMIT 1 BY series_id, start, start_ns
)
