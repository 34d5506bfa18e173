-- Current slices or hours of some objectives of a tenant: of each start the highest revision that was known by
-- as_of. `place` is that of the objective in the array, from 1 on. Comments stand for the table, whether it is
-- that of hours, the ranges of each objective and as_of; every value is bound.
SELECT
    /* whole */ AS whole, toUInt16(indexOf({objectives:Array(String)}, objective)) AS place, slice_start,
    length_ns, good, total, up_ns, degraded_ns, down_ns, excluded_ns, no_data_ns, not_started_ns,
    distribution, scale, offset AS first_bucket, zero_count, counts, bounds,
    sealed, revision, known_at, seq
FROM /* table */
PREWHERE tenant = {tenant:String} AND (/* ranges */) /* as of */
ORDER BY objective, slice_start, revision DESC
LIMIT 1 BY objective, slice_start
