-- Distinct values of one attribute of resource or point, over the series of some days.
SELECT DISTINCT arrayJoin(arrayConcat(
    if(mapContains(attributes, {attribute:String}), [attributes[{attribute:String}]], []),
    if(mapContains(resource_attributes, {attribute:String}), [resource_attributes[{attribute:String}]], [])
)) AS value
FROM series
WHERE tenant = {tenant:String}
    AND ({metric:String} = '' OR metric = {metric:String})
    AND day BETWEEN toDate({first_day:UInt16}) AND toDate({last_day:UInt16})
    AND arrayAll(
        (key, value) -> (mapContains(attributes, key) AND attributes[key] = value)
            OR (mapContains(resource_attributes, key) AND resource_attributes[key] = value),
        {keys:Array(String)}, {values:Array(String)})
    AND ({from_start:UInt8} OR value > {after:String})
ORDER BY value
LIMIT {limit:UInt32}
