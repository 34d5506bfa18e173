-- How long calls or statements took, in steps: of each service and label the number and the sum of seconds that
-- a step added. Points are cumulative from the start of a process; its first point in the range is only a base,
-- unless the process began in it.
SELECT service, label, step, sum(more) AS number, sum(longer) AS seconds
FROM (
    SELECT
        series_id, step,
        n - lagInFrame(n, 1, 0) OVER one AS more,
        s - lagInFrame(s, 1, 0.) OVER one AS longer,
        row_number() OVER one AS place,
        start >= fromUnixTimestamp64Milli({low:Int64}, 'UTC') AS fresh
    FROM (
        SELECT
            series_id, start, intDiv(toUnixTimestamp64Milli(ts) - 1, {step_ms:Int64}) AS step,
            toInt64(max(count)) AS n, max(ifNull(sum, 0.)) AS s
        FROM exp_histograms
        WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32} AND bitAnd(flags, 1) = 0
            AND ts > fromUnixTimestamp64Milli({low:Int64}, 'UTC')
            AND ts <= fromUnixTimestamp64Milli({high:Int64}, 'UTC')
        GROUP BY series_id, start, step
    )
    WINDOW one AS (
        PARTITION BY series_id, start ORDER BY step ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
) AS steps
INNER JOIN (
    SELECT
        series_id, toString(any(service)) AS service, any(attributes)[{label:String}] AS label
    FROM series
    WHERE tenant = {tenant:String} AND metric = {metric:String}
    GROUP BY series_id
) AS meant USING (series_id)
WHERE place > 1 OR fresh
GROUP BY service, label, step
ORDER BY service, label, step
