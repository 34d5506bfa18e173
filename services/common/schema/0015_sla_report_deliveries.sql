-- Every attempt to hand a report to somebody, append only. `outcome`: delivered, retrying, given_up.
CREATE TABLE IF NOT EXISTS sla_report_deliveries
(
    tenant LowCardinality(String),
    report String,
    recipient String,
    attempt UInt32,
    seq UInt64,
    at DateTime64(3, 'UTC'),
    outcome LowCardinality(String),
    status_code UInt16,
    error String,
    meta String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYear(at)
ORDER BY (tenant, report, recipient, attempt, seq)
TTL toDateTime(at) + INTERVAL 7 YEAR
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
         ttl_only_drop_parts = 1;
