-- All events before `high` of incidents that something happened to since `low`, or that were open then.
SELECT incident, toUnixTimestamp64Milli(at), id, kind, severity, title, actor, note, seq
FROM incident_events FINAL
WHERE tenant = {tenant:String}
    AND at < fromUnixTimestamp64Milli({high:Int64}, 'UTC')
    AND incident IN
    (
        SELECT incident
        FROM incident_events FINAL
        WHERE tenant = {tenant:String} AND at < fromUnixTimestamp64Milli({high:Int64}, 'UTC')
        GROUP BY incident
        HAVING max(at) >= fromUnixTimestamp64Milli({low:Int64}, 'UTC')
            OR argMaxIf(kind, (at, seq, id), kind IN ('opened', 'resolved', 'verified', 'reopened')) != 'verified'
    )
ORDER BY incident, at, seq, id
