-- What happened to incidents, append only: opened, acknowledged, resolved, verified, reopened, paused,
-- resumed, severity_changed, policy_changed. `id` names an event: storing it again changes nothing.
CREATE TABLE IF NOT EXISTS incident_events
(
    tenant LowCardinality(String),
    incident String,
    at DateTime64(3, 'UTC'),
    id String,
    kind LowCardinality(String),
    severity LowCardinality(String),
    title String,
    actor String,
    note String,
    seq UInt64
)
ENGINE = ReplacingMergeTree(seq)
PARTITION BY toYear(at)
ORDER BY (tenant, incident, at, id)
TTL toDateTime(at) + INTERVAL 7 YEAR
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
         ttl_only_drop_parts = 1;
