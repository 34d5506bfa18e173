-- As slices.sql, without distributions.
SELECT
    /* whole */ AS whole, toUInt16(indexOf({objectives:Array(String)}, objective)) AS place, slice_start,
    length_ns, good, total, up_ns, degraded_ns, down_ns, excluded_ns, no_data_ns, not_started_ns,
    sealed, revision, known_at, seq
FROM /* table */
PREWHERE tenant = {tenant:String} AND (/* ranges */) /* as of */
ORDER BY objective, slice_start, revision DESC
LIMIT 1 BY objective, slice_start
