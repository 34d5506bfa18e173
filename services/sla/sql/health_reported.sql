-- When each of our services reported last.
SELECT toString(service) AS name, toUnixTimestamp64Milli(max(last)) AS last_ms
FROM (
    SELECT series_id, max(ts) AS last
    FROM points
    WHERE tenant = {tenant:String} AND metric_id = {metric_id:UInt32}
        AND ts > fromUnixTimestamp64Milli({low:Int64}, 'UTC')
    GROUP BY series_id
) AS seen
INNER JOIN (
    SELECT series_id, any(series.service) AS service
    FROM series
    WHERE tenant = {tenant:String} AND metric = {metric:String}
    GROUP BY series_id
) AS meant USING (series_id)
GROUP BY name
ORDER BY name
