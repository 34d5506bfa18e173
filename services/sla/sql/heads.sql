-- How far the objectives of some tenants are, and which database says so. Rows of one objective that are not
-- merged yet come one by one: the reader puts them together, which is less work than a GROUP BY.
SELECT
    tenant, objective, first_ms, end_ms, sealed_ms, known_ms, seq,
    assumeNotNull((SELECT toString(uuid) FROM system.databases WHERE name = currentDatabase())) AS database
FROM sli_heads
WHERE tenant IN {tenants:Array(String)}
