-- The highest value of a gauge of ours in each step, over all its series, in thousandths.
SELECT
    intDiv(toUnixTimestamp64Milli(ts) - 1, {step_ms:Int64}) AS step,
    toInt64(max(if(kind = 'double', value_double, toFloat64(value_int))) * 1000) AS number
FROM points
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0
    AND ts > fromUnixTimestamp64Milli({low:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Milli({high:Int64}, 'UTC')
GROUP BY step
ORDER BY step
