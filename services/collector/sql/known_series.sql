-- Series of every tenant that were described since a day, with when each was seen last.
SELECT toString(tenant) AS whose, series_id, toInt64(toUnixTimestamp(max(last_seen))) AS seen_s
FROM series
WHERE day >= toDate({first_day:UInt16})
GROUP BY whose, series_id
HAVING seen_s >= {since_s:Int64}
