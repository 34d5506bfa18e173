-- The current slices of one objective: of each start the highest revision that was known by as_of.
SELECT *
FROM (
    SELECT
        toUnixTimestamp64Milli(slice_start) AS start_ms,
        length_ns, good, total, up_ns, degraded_ns, down_ns, excluded_ns, no_data_ns, not_started_ns,
        distribution, scale, offset AS first_bucket, zero_count, counts, bounds, sealed, revision,
        toUnixTimestamp64Milli(known_at) AS known_ms, seq
    FROM sli_slices
    WHERE tenant = {tenant:String} AND objective = {objective:String}
        AND slice_start >= fromUnixTimestamp64Milli({low:Int64}, 'UTC')
        AND slice_start < fromUnixTimestamp64Milli({high:Int64}, 'UTC')
        AND known_at <= fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')
    ORDER BY slice_start, revision DESC
    LIMIT 1 BY slice_start
)
ORDER BY start_ms
