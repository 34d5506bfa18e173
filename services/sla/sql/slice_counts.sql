-- Current slices or hours of one objective in some ranges: of each start the highest revision that was known
-- by as_of. As slices.sql, without distributions.
SELECT
    toUnixTimestamp64Milli(slice_start) AS start_ms,
    length_ns, good, total, up_ns, degraded_ns, down_ns, excluded_ns, no_data_ns, not_started_ns,
    sealed, revision, toUnixTimestamp64Milli(known_at) AS known_ms, seq
FROM {table:Identifier}
WHERE tenant = {tenant:String} AND objective = {objective:String}
    AND (/* ranges of slice_start */)
    AND known_at <= fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')
ORDER BY slice_start, revision DESC
LIMIT 1 BY slice_start
