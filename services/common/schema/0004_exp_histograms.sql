-- Exponential histograms, raw as received.
-- start: milliseconds, the epoch when the sender gave none (bits & 1). bits & 2: start equals time on the
-- nanosecond, so the start is unknown. batch: low 32 bits of the first log sequence of the batch that
-- wrote the row; recovery counts rows by it.
CREATE TABLE IF NOT EXISTS exp_histograms (
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    metric_id UInt32 CODEC(ZSTD(1)),
    series_id UInt64 CODEC(ZSTD(1)),
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    start DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    flags UInt32 CODEC(ZSTD(1)),
    bits UInt8 CODEC(ZSTD(1)),
    batch UInt32 CODEC(DoubleDelta, ZSTD(1)) SETTINGS (min_compress_block_size = 4194304, max_compress_block_size = 4194304),
    keep_days UInt16 DEFAULT 30 CODEC(ZSTD(1)),
    count UInt64 CODEC(Delta(8), T64('bit'), ZSTD(1)),
    sum Nullable(Float64) CODEC(Delta(8), ZSTD(1)),
    min Nullable(Float64) CODEC(Delta(8), ZSTD(1)),
    max Nullable(Float64) CODEC(Delta(8), ZSTD(1)),
    scale Int32 CODEC(ZSTD(1)),
    zero_count UInt64 CODEC(Delta(8), T64('bit'), ZSTD(1)),
    zero_threshold Float64 CODEC(ZSTD(1)),
    positive_offset Int32 CODEC(ZSTD(1)),
    positive_counts Array(UInt64) CODEC(ZSTD(1)),
    negative_offset Int32 CODEC(ZSTD(1)),
    negative_counts Array(UInt64) CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (tenant, metric_id, series_id, ts)
TTL toDate(ts) + toIntervalDay(keep_days + 1)
SETTINGS
    non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;
