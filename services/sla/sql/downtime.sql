-- Runs of slices of one objective that were down, or down or degraded, newest first: of each start the highest
-- revision that was known by as_of. Starts are found by the durations alone; the other columns are read for
-- those only. Runs that start before `before`, at most `most` of them.
SELECT
    min(start_ms) AS run_start, max(end_ms) AS run_end, sum(down_ns) AS down, sum(degraded_ns) AS degraded,
    sum(excluded_ns) AS excluded, sum(total - good) AS bad, sum(total) AS requests, count() AS slices
FROM (
    SELECT *, sum(first) OVER (ORDER BY start_ms ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run
    FROM (
        SELECT
            *,
            start_ms != lagInFrame(end_ms, 1, -1) OVER (
                ORDER BY start_ms ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS first
        FROM (
            SELECT
                toUnixTimestamp64Milli(slice_start) AS start_ms,
                start_ms + intDiv(length_ns, 1000000) AS end_ms,
                good, total, down_ns, degraded_ns, excluded_ns
            FROM sli_slices
            WHERE tenant = {tenant:String} AND objective = {objective:String}
                AND slice_start IN (
                    SELECT slice_start
                    FROM sli_slices
                    WHERE tenant = {tenant:String} AND objective = {objective:String}
                        AND slice_start >= fromUnixTimestamp64Milli({low:Int64}, 'UTC')
                        AND slice_start < fromUnixTimestamp64Milli({high:Int64}, 'UTC')
                        AND known_at <= fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')
                        AND (down_ns > 0 OR ({with_degraded:Bool} AND degraded_ns > 0))
                )
                AND known_at <= fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')
            ORDER BY slice_start, revision DESC
            LIMIT 1 BY slice_start
        )
        WHERE down_ns > 0 OR ({with_degraded:Bool} AND degraded_ns > 0)
    )
)
GROUP BY run
HAVING run_start < {before:Int64}
ORDER BY run_start DESC
LIMIT {most:UInt32}
