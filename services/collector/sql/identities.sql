-- The lossless identity of every series of some days.
SELECT any(metric_id) AS metric_number, series_id, toUInt16(day) AS day_number, any(identity) AS whole
FROM series
WHERE tenant = {tenant:String}
    AND ({metric:String} = '' OR metric = {metric:String})
    AND day BETWEEN toDate({first_day:UInt16}) AND toDate({last_day:UInt16})
GROUP BY metric, series_id, day
