-- What the notification pipeline decided (attempt 0) and every attempt to send (1 and up).
-- `decided_at` is log time; `at` is the sender's clock.
CREATE TABLE IF NOT EXISTS notification_attempts
(
    tenant LowCardinality(String),
    decided_at DateTime64(3, 'UTC'),
    id String,
    attempt UInt32,
    receiver LowCardinality(String),
    group_key String,
    fingerprint String,
    rule LowCardinality(String),
    status LowCardinality(String),
    outcome LowCardinality(String),
    reason LowCardinality(String),
    status_code UInt16,
    error String,
    at DateTime64(3, 'UTC'),
    duration_ms UInt32,
    retry_after_ms UInt64,
    alerts_seq UInt64
)
ENGINE = ReplacingMergeTree(at)
PARTITION BY toYYYYMM(decided_at)
ORDER BY (tenant, decided_at, id, attempt)
TTL toDateTime(decided_at) + INTERVAL 7 YEAR
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
         ttl_only_drop_parts = 1;
