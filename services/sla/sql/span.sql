-- Start of the first slice, end of the last, end of the last sealed one (0: none); no row without slices.
SELECT
    toUnixTimestamp64Milli(min(slice_start)) AS first_ms,
    max(toUnixTimestamp64Milli(slice_start) + intDiv(length_ns, 1000000)) AS end_ms,
    maxIf(toUnixTimestamp64Milli(slice_start) + intDiv(length_ns, 1000000), sealed) AS sealed_ms
FROM sli_slices
WHERE tenant = {tenant:String} AND objective = {objective:String}
    AND known_at <= fromUnixTimestamp64Milli({as_of:Int64}, 'UTC')
HAVING count() > 0
