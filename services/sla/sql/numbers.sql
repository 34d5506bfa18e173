-- The number points of one metric in (low, high], the last one of each (series, start) shortly before, the
-- first one of each series after, and of each start that lies before the end: of two writers both intervals
-- may reach back. Where a base lies further back, numbers_before.sql finds it. Rows may repeat.
SELECT
    series_id, start, start_ns, ts, ts_ns, bits,
    if(kind = 'double', toInt64(floor(value_double)), value_int) AS whole,
    if(kind = 'double', value_double, toFloat64(value_int)) AS value
FROM points
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0 AND kind != 'none'
    AND ts > fromUnixTimestamp64Milli({low:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({high:Int64}, 'UTC')
UNION ALL
SELECT * FROM (
SELECT
    series_id, start, start_ns, ts, ts_ns, bits,
    if(kind = 'double', toInt64(floor(value_double)), value_int) AS whole,
    if(kind = 'double', value_double, toFloat64(value_int)) AS value
FROM points
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0 AND kind != 'none'
    AND ts > fromUnixTimestamp64Milli({near:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({low:Int64}, 'UTC')
ORDER BY series_id, start, start_ns, ts DESC, ts_ns DESC
LIMIT 1 BY series_id, start, start_ns
)
UNION ALL
SELECT * FROM (
SELECT
    series_id, start, start_ns, ts, ts_ns, bits,
    if(kind = 'double', toInt64(floor(value_double)), value_int) AS whole,
    if(kind = 'double', value_double, toFloat64(value_int)) AS value
FROM points
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0 AND kind != 'none'
    AND ts > fromUnixTimestamp64Milli({high:Int64}, 'UTC')
ORDER BY series_id, ts, ts_ns
LIMIT 1 BY series_id
)
UNION ALL
SELECT * FROM (
SELECT
    series_id, start, start_ns, ts, ts_ns, bits,
    if(kind = 'double', toInt64(floor(value_double)), value_int) AS whole,
    if(kind = 'double', value_double, toFloat64(value_int)) AS value
FROM points
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0 AND kind != 'none'
    AND ts > fromUnixTimestamp64Milli({high:Int64}, 'UTC')
    AND start < fromUnixTimestamp64Milli({high:Int64}, 'UTC')
ORDER BY series_id, start, start_ns, ts, ts_ns
LIMIT 1 BY series_id, start, start_ns
)
