-- Every gauge and sum series of one metric, once; the table has a row for each day.
SELECT
    series_id,
    any(sender_id) AS sender,
    toInt8(any(type)) AS kind,
    any(temporality) = 'delta' AS delta,
    toString(any(unit)) AS unit_text,
    any(attributes) AS point_attributes,
    any(resource_attributes) AS sender_attributes
FROM series
WHERE tenant = {tenant:String} AND metric = {metric:String} AND type IN ('gauge', 'sum')
GROUP BY series_id
