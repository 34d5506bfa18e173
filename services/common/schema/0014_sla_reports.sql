-- What happened to SLA reports, append only: one row for each record of REPORTS. The state of a report is that of
-- its last row (highest seq). `content` is the canonical JSON, empty unless the report was issued by this row.
CREATE TABLE IF NOT EXISTS sla_reports
(
    tenant LowCardinality(String),
    report String,
    seq UInt64,
    at DateTime64(3, 'UTC'),
    contract LowCardinality(String),
    state Enum8('generating' = 1, 'issued' = 2, 'failed' = 3, 'cancelled' = 4, 'unchanged' = 5),
    period_kind LowCardinality(String),
    period_label String,
    period_start DateTime64(3, 'UTC'),
    period_end DateTime64(3, 'UTC'),
    revision UInt32,
    request_id String,
    meta String CODEC(ZSTD(1)),
    content String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYear(at)
ORDER BY (tenant, report, seq)
TTL toDateTime(at) + INTERVAL 7 YEAR
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
         ttl_only_drop_parts = 1;
