-- Metrics with the most series over some days, largest first.
SELECT metric, uniqExact(series_id) AS series_count
FROM series
WHERE tenant = {tenant:String} AND day BETWEEN toDate({first_day:UInt16}) AND toDate({last_day:UInt16})
GROUP BY metric
ORDER BY series_count DESC, metric
LIMIT {top:UInt32}
