-- What the catalogue of backups and restores said over time; the truth is in the key-value store, which
-- outlives this database. One row for each change; `body` is the whole entry as JSON.
CREATE TABLE IF NOT EXISTS backups (
    region LowCardinality(String) CODEC(ZSTD(1)),
    kind Enum8('backup' = 1, 'restore' = 2) CODEC(ZSTD(1)),
    id String CODEC(ZSTD(1)),
    version UInt64 CODEC(ZSTD(1)),
    recorded_at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    state LowCardinality(String) CODEC(ZSTD(1)),
    row_count UInt64 CODEC(ZSTD(1)),
    size_bytes UInt64 CODEC(ZSTD(1)),
    body String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (region, kind, id)
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1;
