-- Every transition of every alert instance, as appended to the ALERTS stream; written by each
-- region's storer. `seq` and `incarnation` say where in which stream: storing again changes nothing.
CREATE TABLE IF NOT EXISTS alert_events
(
    tenant LowCardinality(String),
    at DateTime64(3, 'UTC'),
    id String,
    rule LowCardinality(String),
    objective LowCardinality(String),
    severity LowCardinality(String),
    fingerprint String,
    from_state LowCardinality(String),
    to_state LowCardinality(String),
    active Bool,
    started_at DateTime64(3, 'UTC'),
    cause LowCardinality(String),
    reason LowCardinality(String),
    labels Map(LowCardinality(String), String),
    annotations Map(LowCardinality(String), String),
    value String,
    slices_seq UInt64,
    seq UInt64,
    incarnation UInt64
)
ENGINE = ReplacingMergeTree(seq)
PARTITION BY toYYYYMM(at)
ORDER BY (tenant, at, id)
TTL toDateTime(at) + INTERVAL 7 YEAR
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
         ttl_only_drop_parts = 1;
