-- Attributes of resources and points with the most distinct values over some days, largest first.
-- A key that is on both, with two values, counts both values and the series once.
SELECT pair.1 AS attribute, uniqExact(pair.2) AS value_count, uniqExact(series_id) AS series_count
FROM series
ARRAY JOIN arrayConcat(
    CAST(resource_attributes, 'Array(Tuple(String, String))'),
    CAST(attributes, 'Array(Tuple(String, String))')) AS pair
WHERE tenant = {tenant:String} AND day BETWEEN toDate({first_day:UInt16}) AND toDate({last_day:UInt16})
GROUP BY attribute
ORDER BY value_count DESC, series_count DESC, attribute
LIMIT {top:UInt32}
