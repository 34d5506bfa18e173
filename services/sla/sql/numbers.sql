-- The number points of one metric in (low, high], the last one of each (series, start) shortly before, and
-- the first one of each series after. Where a base lies further back, numbers_before.sql finds it.
SELECT
    series_id, start, ts, bits,
    if(kind = 'double', toInt64(floor(value_double)), value_int) AS whole,
    if(kind = 'double', value_double, toFloat64(value_int)) AS value
FROM points
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0 AND kind != 'none'
    AND ts > fromUnixTimestamp64Milli({low:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({high:Int64}, 'UTC')
UNION ALL
SELECT * FROM (
SELECT
    series_id, start, ts, bits,
    if(kind = 'double', toInt64(floor(value_double)), value_int) AS whole,
    if(kind = 'double', value_double, toFloat64(value_int)) AS value
FROM points
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0 AND kind != 'none'
    AND ts > fromUnixTimestamp64Milli({near:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({low:Int64}, 'UTC')
ORDER BY series_id, start, ts DESC
LIMIT 1 BY series_id, start
)
UNION ALL
SELECT * FROM (
SELECT
    series_id, start, ts, bits,
    if(kind = 'double', toInt64(floor(value_double)), value_int) AS whole,
    if(kind = 'double', value_double, toFloat64(value_int)) AS value
FROM points
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0 AND kind != 'none'
    AND ts > fromUnixTimestamp64Milli({high:Int64}, 'UTC')
ORDER BY series_id, ts
LIMIT 1 BY series_id
)
