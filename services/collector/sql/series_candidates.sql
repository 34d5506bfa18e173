-- Series that were described on the days of a range, each once, in the order of metric and id.
SELECT
    toString(metric) AS name,
    series_id,
    any(metric_id) AS metric_hash,
    toInt8(any(type)) AS kind,
    toInt8(any(temporality)) AS temporality_code,
    toUInt8(any(monotonic)) AS rising,
    toString(any(unit)) AS unit_text,
    any(resource_attributes) AS resource_texts,
    any(scope_name) AS scope_text,
    any(scope_version) AS scope_version_text,
    any(attributes) AS texts
FROM series
WHERE tenant = {tenant:String}
    AND ({metric:String} = '' OR metric = {metric:String})
    AND day BETWEEN toDate({first_day:UInt16}) AND toDate({last_day:UInt16})
    AND (metric > {after_metric:String} OR (metric = {after_metric:String} AND series_id > {after_id:UInt64}))
    AND (empty({keys:Array(String)}) OR arrayAll(
        (key, value) -> (mapContains(attributes, key) AND attributes[key] = value)
            OR (mapContains(resource_attributes, key) AND resource_attributes[key] = value),
        {keys:Array(String)}, {values:Array(String)}))
GROUP BY metric, series_id
ORDER BY metric, series_id
LIMIT {limit:UInt32}
-- The key is in this order: the engine can stop after the page instead of grouping every series.
SETTINGS optimize_aggregation_in_order = 1
