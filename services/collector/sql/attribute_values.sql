-- Distinct values of one attribute of resource or point, over the series of some days.
SELECT DISTINCT value
FROM (
    SELECT attributes[{attribute:String}] AS value, metric, day, attributes, resource_attributes
    FROM series
    WHERE tenant = {tenant:String} AND mapContains(attributes, {attribute:String})
    UNION ALL
    SELECT resource_attributes[{attribute:String}] AS value, metric, day, attributes, resource_attributes
    FROM series
    WHERE tenant = {tenant:String} AND mapContains(resource_attributes, {attribute:String})
)
WHERE ({metric:String} = '' OR metric = {metric:String})
    AND day BETWEEN toDate({first_day:UInt16}) AND toDate({last_day:UInt16})
    AND (empty({keys:Array(String)}) OR arrayAll(
        (key, wanted) -> (mapContains(attributes, key) AND attributes[key] = wanted)
            OR (mapContains(resource_attributes, key) AND resource_attributes[key] = wanted),
        {keys:Array(String)}, {values:Array(String)}))
    AND ({from_start:UInt8} OR value > {after:String})
ORDER BY value
LIMIT {limit:UInt32}
