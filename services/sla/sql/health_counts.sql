-- How much a counter of ours grew, in steps, over all its series; as health_durations.sql.
SELECT step, sum(more) AS number
FROM (
    SELECT
        step,
        n - lagInFrame(n, 1, 0) OVER one AS more,
        row_number() OVER one AS place,
        start >= fromUnixTimestamp64Milli({low:Int64}, 'UTC') AS fresh
    FROM (
        SELECT
            series_id, start, intDiv(toUnixTimestamp64Milli(ts) - 1, {step_ms:Int64}) AS step,
            max(if(kind = 'double', toInt64(value_double), value_int)) AS n
        FROM points
        WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0
            AND ts > fromUnixTimestamp64Milli({low:Int64}, 'UTC')
            AND ts <= fromUnixTimestamp64Milli({high:Int64}, 'UTC')
        GROUP BY series_id, start, step
    )
    WINDOW one AS (
        PARTITION BY series_id, start ORDER BY step ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)
WHERE place > 1 OR fresh
GROUP BY step
ORDER BY step
