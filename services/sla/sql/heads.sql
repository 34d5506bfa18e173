-- How far the objectives of some tenants are, and which database says so.
SELECT
    toString(sli_heads.tenant) AS tenant, objective,
    min(first_ms) AS first, max(end_ms) AS end, max(sealed_ms) AS sealed, max(known_ms) AS known,
    max(seq) AS newest,
    assumeNotNull((SELECT toString(uuid) FROM system.databases WHERE name = currentDatabase())) AS database
FROM sli_heads
WHERE sli_heads.tenant IN {tenants:Array(String)}
GROUP BY sli_heads.tenant, objective
