-- Time of the last number point of one metric until `before`; no row when there is none.
SELECT toUnixTimestamp64Milli(max(ts)) AS last_ms
FROM points
WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0 AND kind != 'none'
    AND ts <= fromUnixTimestamp64Milli({before:Int64}, 'UTC')
HAVING count() > 0
